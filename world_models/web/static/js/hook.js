// `window.dream`: for tinkerers in the console, and for the project's tests.
//
//   await dream.ready                      all is loaded; the visitor's controls work
//   await dream.step(action, pick, noise)  pauses, goes one step on, and returns the state; without pick (0..1)
//                                          and noise (Z numbers) they come from the seed; without action, from
//                                          whoever drives
//   dream.state()                          plain copies of z, h, c, reward, terminal, weights, component, ...
//   dream.picture()                        the 64 x 64 RGBA pixels that are shown
//   await dream.decide()                   C's action here and now
//   dream.drive("you" | "agent" | "replay"), dream.play(), dream.pause(), dream.reset()
//   dream.begin(start, seed)               another start (its index), another seed
//   dream.hold(k, value), dream.release()  latent k stays at value
//   dream.setTemperature(x)
//   dream.fps(), dream.milliseconds()      steps a second; smoothed time of a run of each network

const plain = (values) => Array.from(values);

export function makeHook(ready, app) {
  return {
    ready,
    step: (action, pick, noise) => app().stepOnce(action, pick, noise).then(() => stateOf(app())),
    state: () => stateOf(app()),
    picture: () => plain(app().picture.pixels),
    decide: async () => plain(await app().dream.decide()),
    drive: (mode) => app().setMode(mode),
    play: () => app().play(),
    pause: () => app().pause(),
    reset: () => app().reset(),
    begin: (start, seed) => app().begin(start, seed),
    hold: (k, value) => app().hold(k, value),
    release: () => app().release(),
    setTemperature: (value) => app().setTemperature(value),
    fps: () => app().clock.fps(),
    milliseconds: () => ({ ...app().networks.milliseconds }),
  };
}

function stateOf({ dream, mode, clock }) {
  return {
    z: plain(dream.z),
    h: plain(dream.h),
    c: plain(dream.c),
    action: plain(dream.action),
    weights: plain(dream.weights),
    component: dream.component,
    reward: dream.reward,
    return: dream.total,
    terminal: dream.terminal,
    steps: dream.steps,
    over: dream.over,
    temperature: dream.temperature,
    seed: dream.seed,
    start: dream.start,
    held: [...dream.held.keys()],
    mode,
    playing: clock.running,
  };
}
