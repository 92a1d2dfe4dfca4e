// For each text in a card its contrast with what is behind it, as [class, text, ratio]. Colours are painted and read back,
// so that color-mix, light-dark and variables are what the browser makes of them.
(card) => {
  const canvas = Object.assign(document.createElement("canvas"), { width: 1, height: 1 });
  const paint = canvas.getContext("2d", { willReadFrequently: true });
  const read = (colour) => {
    paint.clearRect(0, 0, 1, 1);
    paint.fillStyle = colour;
    paint.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = paint.getImageData(0, 0, 1, 1).data;
    return { rgb: [r, g, b], a: a / 255 };
  };
  const over = (top, under) => under.map((u, i) => top.rgb[i] * top.a + u * (1 - top.a));
  const light = (rgb) => {
    const [r, g, b] = rgb.map((v) => ((v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ratio = (a, b) => (Math.max(light(a), light(b)) + 0.05) / (Math.min(light(a), light(b)) + 0.05);
  /** The colours behind a text: one, and one more for each colour of a hatch, whose lines run behind letters too. */
  const behind = (node) => {
    const layers = [];
    for (let at = node; at; at = at.parentElement) {
      const { backgroundColor, backgroundImage, backgroundSize } = getComputedStyle(at);
      const under = / [123]px$/.test(backgroundSize); // a line under the letters, not behind them
      const lines = (!under && backgroundImage.match(/(?:rgba?|color|oklab)\([^()]*\)/g)) || [];
      layers.push({ colour: read(backgroundColor), lines: lines.map(read) });
      if (layers.at(-1).colour.a === 1) break;
    }
    let all = [[255, 255, 255]];
    for (const { colour, lines } of layers.reverse()) {
      all = all.map((under) => over(colour, under));
      all.push(...all.flatMap((under) => lines.map((line) => over(line, under))));
    }
    return all;
  };
  const meet = (a, b) => a.left < b.right && a.right > b.left && a.top < b.bottom && a.bottom > b.top;
  // The mark of a selection lies half transparent on top of the pieces.
  const veils = [...card.querySelectorAll(".bw-chosen")].map((node) => {
    return { box: node.getBoundingClientRect(), colour: read(getComputedStyle(node).backgroundColor) };
  });
  const seen = [];
  for (const node of card.querySelectorAll("*")) {
    const text = [...node.childNodes].filter((n) => n.nodeType === 3).map((n) => n.data.trim()).join("");
    const box = node.getBoundingClientRect();
    if (!text || !box.width || !node.checkVisibility({ visibilityProperty: true })) continue;
    if (node.closest("option, .bw-unseen")) continue;
    let grounds = behind(node);
    let colour = over(read(getComputedStyle(node).color), grounds[0]);
    for (const veil of veils.filter((veil) => meet(veil.box, box))) {
      colour = over(veil.colour, colour);
      grounds = grounds.map((ground) => over(veil.colour, ground));
    }
    seen.push([node.className || node.tagName, text.slice(0, 30), Math.min(...grounds.map((g) => ratio(colour, g)))]);
  }
  return seen;
}
