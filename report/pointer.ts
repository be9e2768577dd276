// The page's one script, for pointers: over a chart of lines it tells the values there. A page reads the same without it.

/** Reads what chart.ts notes at drawings; nothing is fetched, and nothing else is changed. */
export const pointerScript = `
for (const drawing of document.querySelectorAll("svg.plot[data-x]")) {
  const [x, y] = ["x", "y"].map((name) => drawing.dataset[name].split(" ").map(Number));
  const valueOf = ([from, to, start, end], at) => from + (at - start) / (end - start) * (to - from);
  const shown = (value) => Number(value.toPrecision(4)).toLocaleString("en", { maximumFractionDigits: 6 });
  let lines = null;
  const told = document.createElement("div");
  told.className = "told";
  told.ariaHidden = "true";
  drawing.addEventListener("pointermove", (event) => {
    lines ??= [...drawing.querySelectorAll("path[data-name]")].map((path) => ({
      name: path.dataset.name,
      points: [...path.getAttribute("d").matchAll(/[ML](-?[\\d.e-]+),(-?[\\d.e-]+)/g)].map(([, x, y]) => [+x, +y]),
    })).filter(({ points }) => points.length > 0);
    const { x: at } = new DOMPoint(event.clientX, event.clientY).matrixTransform(drawing.getScreenCTM().inverse());
    const near = lines.map(({ name, points }) => ({
      name,
      point: points.reduce((best, point) => Math.abs(point[0] - at) < Math.abs(best[0] - at) ? point : best),
    }));
    const first = near.reduce((best, each) => Math.abs(each.point[0] - at) < Math.abs(best.point[0] - at) ? each : best);
    const rows = near.filter(({ point }) => Math.abs(point[0] - first.point[0]) < 1)
      .sort((a, b) => a.point[1] - b.point[1])
      .map(({ name, point }) => name + ": " + shown(valueOf(y, point[1])));
    told.textContent = [shown(valueOf(x, first.point[0])), ...rows].join("\\n");
    document.body.append(told);
    told.style.left = Math.max(4, Math.min(event.clientX + 14, innerWidth - told.offsetWidth - 8)) + scrollX + "px";
    told.style.top = event.clientY + 14 + scrollY + "px";
  });
  drawing.addEventListener("pointerleave", () => told.remove());
}
`;
