// How long a cell takes until its output is seen, and what frames are drawn while that scrolls. Times in milliseconds.
window.frames_of = (() => {
  const frame = () => new Promise((done) => requestAnimationFrame(done));
  /** What scrolls an element: itself or what is round it. */
  const scroller = (selector) => {
    let node = document.querySelector(selector);
    while (node.parentElement && !(node.scrollHeight > node.clientHeight + 1 && /auto|scroll/.test(getComputedStyle(node).overflowY))) node = node.parentElement;
    return node;
  };
  return {
    /** Run a cell; from then until the first element of its output has been drawn. */
    async open(source, selector) {
      const began = performance.now();
      const done = bio.run(source);
      while (!document.querySelector(selector)) await frame();
      await frame(); // that frame has it
      await frame(); // and is on the screen
      const taken = performance.now() - began;
      await done;
      return taken;
    },
    /** Scroll by `step` pixels a frame, there and back at the ends. `step` below 1 is a share of what is seen. */
    async scroll(selector, step, seconds) {
      const pane = scroller(selector), times = [], waits = new WeakSet();
      const by = step < 1 ? Math.round(step * pane.clientHeight) : step;
      let way = 1, waiting = 0;
      const until = performance.now() + 1000 * seconds;
      while (performance.now() < until) {
        times.push(await frame());
        for (const row of pane.querySelectorAll(".bw-await")) if (!waits.has(row)) waits.add(row), waiting++;
        if (pane.scrollTop + pane.clientHeight >= pane.scrollHeight - 1) way = -1;
        else if (pane.scrollTop <= 0) way = 1;
        pane.scrollTop += way * by;
      }
      return { times: times.slice(1).map((time, i) => time - times[i]), waiting, pixels: pane.scrollHeight };
    },
    /** Go to a share of the whole, as with the scroll bar; until all that is seen there is drawn. */
    async far(selector, share) {
      const pane = scroller(selector), began = performance.now();
      pane.scrollTop = share * (pane.scrollHeight - pane.clientHeight);
      await frame(); // the view hears of it in this one, after us
      do await frame();
      while (pane.querySelector(".bw-await"));
      await frame();
      return performance.now() - began;
    },
    /** The elements of the last cell's output. */
    elements: () => [...document.querySelectorAll(".jp-Notebook .jp-Cell")].at(-1).querySelectorAll(".jp-OutputArea-output *").length,
  };
})();
