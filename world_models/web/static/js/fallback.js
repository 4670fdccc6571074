// A classic script on purpose: it still runs where modules cannot, so that the page can say what is wrong. It is
// loaded with `async`, as neither a style sheet nor another script that does not come may hold it up. Where even this
// file does not come the sentence in index.html appears by itself (style.css, .trouble).
"use strict";

(function () {
  var PATIENCE = 7000; // milliseconds from the beginning of the page; a visitor hears within ten seconds
  var PROBE = 1500; // for an answer about a file that was asked for already
  var isFile = location.protocol === "file:";
  var looking = false;

  // A module that is alive speaks for itself. (Without one, window.dream is the canvas of that id.)
  function isAlive() {
    return Boolean(window.dream && window.dream.ready);
  }

  function whenThere(id, work) {
    var element = document.getElementById(id);
    if (element) work(element);
    else setTimeout(whenThere, 50, id, work);
  }

  function say(sentence) {
    whenThere("status", function (status) {
      var text = document.getElementById("overlay-text");
      if (isAlive()) return;
      text.textContent = sentence;
      text.setAttribute("role", "alert");
      status.textContent = "";
      document.getElementById("progress").hidden = true;
      document.getElementById("overlay").classList.add("error");
    });
  }

  function sayBare(sentence) {
    whenThere("trouble", function (element) {
      element.textContent = sentence + " The page is shown without its style.";
      element.hidden = false;
    });
  }

  function nameOf(url) {
    return String(url).split("?")[0].replace(new URL(".", location.href).href, "");
  }

  /** A sentence on why a file of the site cannot be used as `kind` ("javascript" or "css"); "" where it can. */
  function whyNot(url, kind) {
    var name = nameOf(url);
    return fetch(url).then(function (response) {
      var type = response.headers.get("content-type") || "";
      if (!response.ok) return name + " is missing (HTTP " + response.status + "): the site is incomplete; export it again, and upload the whole folder.";
      if (type.indexOf("text/html") === 0) return name + " is missing: the host answers a web page (HTML) in its place; export the site again, and upload the whole folder.";
      if (type.indexOf(kind) < 0 && !(kind === "javascript" && type.indexOf("ecmascript") >= 0)) {
        return name + " comes as “" + (type || "no type") + "”, and browsers take only “text/" + kind + "”: set that Content-Type on the host.";
      }
      return "";
    }, function () {
      return name + " could not be fetched: look at the connection, and whether the server still runs, and reload.";
    });
  }
  window.whyNoScript = function (url) {
    return whyNot(url, "javascript");
  };

  function isSilent(url) {
    return performance.getEntriesByName(url).length === 0;
  }

  function silence(url) {
    return nameOf(url) + " has not come: the host (" + location.host + ") does not answer; look at the connection and the server, and reload.";
  }

  /** As `whyNot`; but where some of `scripts` do not come, this one is not waited for. */
  function whyNotSoon(url, scripts) {
    return Promise.race([whyNot(url, "javascript"), new Promise(function (resolve) {
      setTimeout(function () {
        if (scripts.some(isSilent)) resolve(isSilent(url) ? silence(url) : "");
      }, PROBE);
    })]);
  }

  /** Finds out which script keeps the dream from beginning, and says so. */
  function look(otherwise) {
    if (isFile || looking || isAlive()) return;
    looking = true;
    var scripts = Array.from(document.querySelectorAll("script[type=module], link[rel=modulepreload]"), function (element) {
      return element.src || element.href;
    });
    Promise.all(window.fetch ? scripts.map(function (url) {
      return whyNotSoon(url, scripts);
    }) : []).then(function (sentences) {
      var found = sentences.filter(Boolean);
      // A file that is wrong for certain comes before one that only waits its turn behind others.
      found.sort(function (one, other) {
        return /has not come/.test(one) - /has not come/.test(other);
      });
      say(found[0] || otherwise || "The scripts of this page do not run in this browser: open it in a current one, or export the site again.");
    });
  }

  function lookAtStyle(isLate) {
    var link = document.querySelector("link[rel=stylesheet]");
    if (!link || getComputedStyle(document.documentElement).getPropertyValue("--ground")) return;
    if (!isLate) {
      whyNot(link.href, "css").then(function (sentence) {
        if (sentence) sayBare(sentence);
      });
      return;
    }
    sayBare(silence(link.href));
    link.remove(); // nothing is painted, and no script runs, while the browser waits for it
  }

  whenThere("trouble", function (element) {
    element.hidden = true;
    document.documentElement.classList.add("watched");
  });
  if (isFile) {
    say("Browsers load this page's networks from a web server only. In the folder of this page run " +
      "“python -m http.server” and open http://localhost:8000.");
  } else if (!("noModule" in document.createElement("script"))) {
    say("This browser is too old for the dream: it needs JavaScript modules and WebAssembly.");
  }
  // A script that is missing or broken: module errors reach the window in the capture phase.
  window.addEventListener("error", function (event) {
    var element = event.target && event.target.tagName ? event.target : null;
    if (element && (element.rel === "stylesheet" || element.tagName === "IMG")) return;
    var source = element ? element.src || element.href : event.filename;
    look("The page is incomplete: " + (source ? nameOf(source) : "one of its scripts") + " could not be " +
      (element ? "loaded" : "run (" + event.message + ")") + ". Export the site again.");
  }, true);
  window.addEventListener("load", function () {
    lookAtStyle(false);
    look();
  });
  setTimeout(function () {
    if (document.readyState === "complete") return;
    lookAtStyle(true);
    look();
  }, Math.max(0, PATIENCE - performance.now()));
})();
