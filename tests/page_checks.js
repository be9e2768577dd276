// What a page of ours must hold, asked inside the page: nothing is wider than it, names do not lie over each other, and
// no type is too small. Each check gives sentences about what is wrong.

/** Corners of a text as it is drawn, turned texts included. */
function corners(text) {
  const box = text.getBBox();
  const place = text.getScreenCTM();
  return [[0, 0], [1, 0], [1, 1], [0, 1]].map(([right, down]) => {
    // Type has room above and below its letters; a fifth of it on each side may be shared.
    const point = new DOMPoint(box.x + right * box.width, box.y + box.height * (0.2 + 0.6 * down));
    return point.matrixTransform(place);
  });
}

/** Whether two convex shapes share more than an edge: no side of either lies between them. */
function overlap(one, other) {
  for (const shape of [one, other]) {
    for (let at = 0; at < shape.length; at++) {
      const [from, to] = [shape[at], shape[(at + 1) % shape.length]];
      const [x, y] = [to.y - from.y, from.x - to.x];
      const along = (points) => points.map((point) => point.x * x + point.y * y);
      const [a, b] = [along(one), along(other)];
      const least = 0.5 * Math.hypot(x, y);
      if (Math.max(...a) <= Math.min(...b) + least || Math.max(...b) <= Math.min(...a) + least) return false;
    }
  }
  return true;
}

function isShown(element) {
  return element.checkVisibility({ contentVisibilityAuto: true, opacityProperty: true }) &&
    element.getClientRects().length > 0;
}

/** Pairs of names in one drawing that lie over each other, and names that are cut off at the page's edge. */
function overlaps() {
  const wrong = [];
  for (const drawing of document.querySelectorAll("svg.plot")) {
    const texts = [...drawing.querySelectorAll("text")].filter((text) =>
      text.textContent !== "" && isShown(text)
    )
      .map((text) => ({ name: text.textContent, corners: corners(text) }));
    const label = drawing.getAttribute("aria-label");
    texts.forEach((one, at) => {
      for (const other of texts.slice(at + 1)) {
        if (overlap(one.corners, other.corners)) {
          wrong.push(`"${one.name}" and "${other.name}" in "${label}"`);
        }
      }
      const right = Math.max(...one.corners.map(({ x }) => x));
      const left = Math.min(...one.corners.map(({ x }) => x));
      if (right > innerWidth || left < 0) wrong.push(`"${one.name}" in "${label}" is cut off`);
    });
  }
  return wrong;
}

/** Elements that make the page wider than its window; what scrolls by itself may be as wide as it likes. */
function tooWide() {
  if (document.documentElement.scrollWidth <= innerWidth) return [];
  return [...document.querySelectorAll("body *")].filter((element) =>
    element.getBoundingClientRect().right > innerWidth + 1 && !element.closest(".scroll")
  ).map((element) => `${element.tagName} ${element.className}: ${element.textContent.slice(0, 40)}`);
}

/** Texts in smaller type than `least` CSS pixels, as shown. */
function tooSmall(least) {
  const wrong = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const parent = walker.currentNode.parentElement;
    if (walker.currentNode.textContent.trim() === "" || !isShown(parent)) continue;
    const drawing = parent.closest("svg");
    const scale = drawing ? drawing.getScreenCTM().a : 1;
    const size = scale * Number.parseFloat(getComputedStyle(parent).fontSize);
    if (size < least) {
      wrong.add(`${size.toFixed(1)} px: "${walker.currentNode.textContent.trim().slice(0, 40)}"`);
    }
  }
  return [...wrong];
}

/** Closed details whose content is not shown. */
function hidden() {
  return [...document.querySelectorAll("details:not([open])")].filter((each) =>
    [...each.querySelectorAll("table, svg.plot")].some((part) => !part.checkVisibility())
  ).map((each) => each.querySelector("summary").textContent);
}

/** Tables that are wider than what holds them. */
function cut() {
  return [...document.querySelectorAll(".scroll")].filter((each) => each.scrollWidth > each.clientWidth + 1)
    .map((each) => `${each.getAttribute("aria-label")}: ${each.scrollWidth} of ${each.clientWidth}`);
}

globalThis.pageChecks = { overlaps, tooWide, tooSmall, hidden, cut };
