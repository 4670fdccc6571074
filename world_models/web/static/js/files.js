// The site's files: fetched and checked, with a sentence for each way in which a host fails. No page in here.

/** Something that the visitor or the page's host can mend; its message is shown as it is. */
export class DreamError extends Error {}

/** Milliseconds for which a host may say nothing. */
const SILENCE = 8000;
const AGAIN = "export the site again, and upload the whole folder";

const SITE = new URL("..", import.meta.url).href;

const nameOf = (url) => url.href.replace(SITE, "");

/** What `promise` gives, unless the host is silent for too long. */
function heard(promise, url) {
  let timer;
  const silence = new Promise((_, reject) => {
    timer = setTimeout(() => {
      reject(new DreamError(`${nameOf(url)} does not come: the host (${url.host}) has been silent for ${SILENCE / 1000} seconds; look at the connection and the server, and reload.`));
    }, SILENCE);
  });
  return Promise.race([promise, silence]).finally(() => clearTimeout(timer));
}

async function fetched(url) {
  let response;
  try {
    response = await heard(fetch(url), url);
  } catch (error) {
    if (error instanceof DreamError) throw error;
    throw new DreamError(`${nameOf(url)} could not be fetched: look at the connection, and whether the server still runs, and reload.`);
  }
  if (!response.ok) {
    throw new DreamError(`${nameOf(url)} is missing (HTTP ${response.status}): the site is incomplete; ${AGAIN}.`);
  }
  return response;
}

async function piecesOf(url, response, onBytes) {
  const pieces = [];
  try {
    for (const reader = response.body.getReader(); ;) {
      const { done, value } = await heard(reader.read(), url);
      if (done) return pieces;
      pieces.push(value);
      onBytes(value.length);
    }
  } catch (error) {
    if (error instanceof DreamError) throw error;
    throw new DreamError(`${nameOf(url)} broke off on its way: look at the connection and the server, and reload.`);
  }
}

/** Hosts that answer every address with their own page: what begins like one is none of the site's data. */
function refusePage(url, bytes) {
  const beginning = new TextDecoder().decode(bytes.subarray(0, 64)).trimStart().toLowerCase();
  if (beginning.startsWith("<!doctype html") || beginning.startsWith("<html")) {
    throw new DreamError(`${nameOf(url)} is missing: the host answers a web page (HTML) in its place; ${AGAIN}.`);
  }
}

async function refuseDamage(url, bytes, wanted) {
  if (bytes.length !== wanted.bytes) {
    throw new DreamError(`${nameOf(url)} is damaged, it has ${bytes.length} bytes and should have ${wanted.bytes}: ${AGAIN}.`);
  }
  if (!wanted.sha256 || !crypto.subtle) return; // browsers compute it on secure addresses alone
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  if (Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("") !== wanted.sha256) {
    throw new DreamError(`${nameOf(url)} is damaged, its contents are not what was exported: ${AGAIN}.`);
  }
}

/** A file's bytes. `wanted` has its `bytes` and, where it is known, `sha256`; `onBytes` hears of every piece. */
export async function bytesOf(url, wanted = null, onBytes = () => {}) {
  const pieces = await piecesOf(url, await fetched(url), onBytes);
  const all = new Uint8Array(await new Blob(pieces).arrayBuffer());
  refusePage(url, all);
  if (wanted) await refuseDamage(url, all, wanted);
  return all;
}

export async function jsonOf(url) {
  const bytes = await bytesOf(url);
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    throw new DreamError(`${nameOf(url)} is damaged, it is not JSON: ${AGAIN}.`);
  }
}

/** A module that is imported when it is needed. */
export async function moduleOf(url) {
  try {
    return await heard(import(url.href), url);
  } catch (error) {
    if (error instanceof DreamError) throw error;
    const why = await window.whyNoScript?.(url.href); // of fallback.js
    throw new DreamError(why || `${nameOf(url)} could not be run: ${AGAIN}, or open it in a current browser. (${error.message})`);
  }
}

/** A picture that is loaded. */
export async function imageOf(url) {
  const image = new Image();
  image.src = url.href;
  try {
    await heard(image.decode(), url);
  } catch (error) {
    if (error instanceof DreamError) throw error;
    await bytesOf(url);
    throw new DreamError(`${nameOf(url)} is damaged, it is no picture: ${AGAIN}.`);
  }
  return image;
}
