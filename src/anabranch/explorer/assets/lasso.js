/* The corners of a lasso, in the units of the axes, thinned to few: not the points within. */
const MOST = 48;

function cornersOf(selection) {
  if (selection.type === "rect") {
    const { x0, x1, y0, y1 } = selection;
    return [[x0, y0], [x1, y0], [x1, y1], [x0, y1]];
  }
  const numbers = /M|L/;
  const corners = (selection.path || "")
    .replace(/Z/g, "")
    .split(numbers)
    .filter((part) => part.trim().length)
    .map((part) => part.split(",").map(Number));
  const step = Math.max(1, Math.ceil(corners.length / MOST));
  return corners.filter((_, place) => place % step === 0);
}

window.dash_clientside = Object.assign({}, window.dash_clientside, {
  anabranch: {
    lasso: function (relayout, click) {
      const none = window.dash_clientside.no_update;
      const cause = window.dash_clientside.callback_context.triggered[0];
      if (cause && cause.prop_id.endsWith("clickData")) {
        if (!click || !click.points.length) return none;
        return { row: click.points[0].customdata };
      }
      if (!relayout || !relayout.selections) return none;
      const last = relayout.selections[relayout.selections.length - 1];
      if (!last) return null;
      const round = (value) => Number(Number(value).toPrecision(7));
      return { corners: cornersOf(last).map((corner) => corner.map(round)) };
    },
  },
});
