// Gives what cannot be read well: texts with less contrast to their ground than AA of
// WCAG 2.2 asks for (4.5, or 3 for large ones and signs).
() => {
  const pixel = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const known = new Map();

  // Any CSS colour as [red, green, blue, alpha], 0 to 1.
  function colour(text) {
    if (!known.has(text)) {
      pixel.clearRect(0, 0, 1, 1);
      pixel.fillStyle = "rgba(0,0,0,0)";
      pixel.fillStyle = text;
      pixel.fillRect(0, 0, 1, 1);
      known.set(text, [...pixel.getImageData(0, 0, 1, 1).data].map((part) => part / 255));
    }
    return known.get(text);
  }

  function over(front, back) {
    const alpha = front[3];
    return [0, 1, 2].map((i) => alpha * front[i] + (1 - alpha) * back[i]).concat(1);
  }

  function ground(element) {
    const layers = [];
    for (let one = element; one; one = one.parentElement) {
      const layer = colour(getComputedStyle(one).backgroundColor);
      layers.push(layer);
      if (layer[3] === 1) break;
    }
    return layers.reverse().reduce((back, front) => over(front, back), [1, 1, 1, 1]);
  }

  function opacity(element) {
    let all = 1;
    for (let one = element; one; one = one.parentElement) all *= getComputedStyle(one).opacity;
    return all;
  }

  function light([red, green, blue]) {
    const linear = (part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
    return 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue);
  }

  function contrast(one, other) {
    const [dark, bright] = [light(one), light(other)].sort((a, b) => a - b);
    return (bright + 0.05) / (dark + 0.05);
  }

  const found = [];
  function look(element, text, inkOf) {
    const style = getComputedStyle(element);
    const isHidden = !element.checkVisibility({ visibilityProperty: true });
    const all = opacity(element);
    if (isHidden || all < 0.01 || element.closest(":disabled, [aria-disabled=true], .skip")) return;
    const ink = colour(inkOf(style));
    const back = ground(element);
    const ratio = contrast(over([...ink.slice(0, 3), ink[3] * all], back), back);
    const size = parseFloat(style.fontSize);
    const isLarge = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
    const isSign = element.matches(".q-icon, .material-icons");
    if (ratio < (isLarge || isSign ? 3 : 4.5)) {
      found.push(`${ratio.toFixed(2)} ${element.tagName}.${element.className} ${text.trim()}`);
    }
  }

  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    const isText = walker.currentNode.textContent.trim() && !element.closest("script, style, option, .hoverlayer");
    if (isText) look(element, element.textContent, (style) => (element.closest("svg") ? style.fill : style.color));
  }
  for (const box of document.querySelectorAll("input, textarea, select")) {
    look(box, box.value || box.placeholder || "", (style) => style.color);
  }
  return found;
};
