// A plot that grows: drawn once from a figure, then moved by what the hub tells.
//
// All plots of a page share one stream of server-sent events: a browser opens no more
// than six connections to a host.

const FRAME = 30; // ms in which plots are drawn, before the browser does what else waits

let stream = null;
let streamed = "";
let pending = 0;
const plots = new Map(); // curve -> set of components
const latest = new Map(); // curve -> what was told last: a run at rest tells it once

const due = new Set(); // plots of which something newer is known than is drawn

// Draws what is due, once a frame: who draws more slowly than it is told shows the
// newest state, and no queue grows. A tab that nobody sees has no frames.
function drawDue() {
  const began = performance.now();
  try {
    for (const plot of due) {
      due.delete(plot);
      plot.draw();
      if (performance.now() - began > FRAME) break;
    }
  } finally {
    if (due.size) requestAnimationFrame(drawDue); // one that fails stops no other
  }
}

function reopen() {
  clearTimeout(pending);
  // Several plots appear at once: one stream for all of them, not one after the other.
  pending = setTimeout(() => {
    const curves = [...plots.keys()].sort();
    const wanted = curves.map((curve) => `curve=${encodeURIComponent(curve)}`).join("&");
    if (wanted === streamed) return; // what comes back at once is still in `latest`
    for (const curve of latest.keys()) if (!plots.has(curve)) latest.delete(curve);
    stream?.close();
    stream = null;
    streamed = wanted;
    if (!wanted) return;
    stream = new EventSource(`/api/v1/live/curves?${wanted}`);
    stream.onmessage = (event) => {
      const told = JSON.parse(event.data);
      latest.set(told.curve, told);
      for (const plot of plots.get(told.curve) ?? []) plot.grow(told);
    };
  }, 50);
}

function subscribe(curve, plot) {
  if (!curve) return;
  if (!plots.has(curve)) plots.set(curve, new Set());
  plots.get(curve).add(plot);
  if (latest.has(curve)) plot.grow(latest.get(curve));
  reopen();
}

function unsubscribe(curve, plot) {
  const those = plots.get(curve);
  if (!those) return;
  those.delete(plot);
  if (!those.size) plots.delete(curve);
  reopen();
}

function isDark() {
  return document.body.classList.contains("body--dark");
}

// Plotly cannot read CSS: its text takes the colour of the page's mode.
function ink(element) {
  return getComputedStyle(element).getPropertyValue("--quiet").trim();
}

const ZOOMS = { "+": 0.5, "=": 0.5, "-": 2 }; // "=" is "+" without shift
const MOVES = {
  ArrowLeft: ["xaxis", -1],
  ArrowRight: ["xaxis", 1],
  ArrowDown: ["yaxis", -1],
  ArrowUp: ["yaxis", 1],
};

// What a key changes of a layout, as Plotly's `relayout` takes it; null for nothing.
// A line is zoomed along its setpoint only: upwards it fits what is seen of it.
function keyed(key, layout, isLine) {
  if (key === "0") return { "xaxis.autorange": true, "yaxis.autorange": true };
  const change = {};
  const put = (axis, low, high) => {
    change[`${axis}.range[0]`] = low;
    change[`${axis}.range[1]`] = high;
  };
  if (key in ZOOMS) {
    for (const axis of isLine ? ["xaxis"] : ["xaxis", "yaxis"]) {
      const [low, high] = layout[axis].range;
      const middle = (low + high) / 2;
      const half = ((high - low) / 2) * ZOOMS[key];
      const seen = Math.abs(half) > 1e-9 * Math.abs(middle); // else both ends are the same
      if (seen) put(axis, middle - half, middle + half);
    }
    return change;
  }
  if (!(key in MOVES)) return null;
  const [axis, way] = MOVES[key];
  const [low, high] = layout[axis].range;
  const step = ((high - low) / 4) * way;
  put(axis, low + step, high + step);
  return change;
}

export default {
  template: `<div class="plot" tabindex="0" aria-keyshortcuts="Plus - 0 ArrowLeft
    ArrowRight ArrowUp ArrowDown" @keydown.self="key"></div>`,
  props: { options: Object, curve: String },
  async mounted() {
    let Plotly;
    try {
      Plotly = await window.plotlyRead; // `plotlyjs.py`
    } catch {
      this.$el.textContent = "Nothing can be drawn: load the page again.";
      return;
    }
    if (!this.$el.isConnected) return; // it has gone while Plotly was loaded
    this.Plotly = Plotly;
    this.update();
    this.observer = new ResizeObserver(() => {
      if (this.$el.offsetParent) this.Plotly.Plots.resize(this.$el); // not if hidden
    });
    this.observer.observe(this.$el);
    this.dark = isDark();
    this.modes = new MutationObserver(() => {
      if (this.dark === isDark()) return; // other classes come and go all the time
      this.dark = isDark();
      this.Plotly.relayout(this.$el, { "font.color": ink(document.body) });
    });
    this.modes.observe(document.body, { attributeFilter: ["class"] });
    subscribe(this.curve, this);
  },
  unmounted() {
    this.observer?.disconnect();
    this.modes?.disconnect();
    unsubscribe(this.curve, this);
    due.delete(this);
    this.Plotly?.purge(this.$el);
  },
  watch: {
    curve(now, before) {
      this.told = null;
      unsubscribe(before, this);
      subscribe(now, this);
    },
  },
  methods: {
    update() {
      if (!this.Plotly) return; // `mounted` calls it
      const layout = this.options.layout;
      layout.font = { ...layout.font, color: ink(document.body) };
      // Where a finger swipes over it, the page is to scroll: buttons zoom there.
      if (matchMedia("(pointer: coarse)").matches) layout.dragmode = false;
      this.Plotly.react(this.$el, this.options.data, layout, this.options.config);
      if (!this.heard) this.hear();
      if (this.told) this.draw(); // a new figure is without its values
    },
    grow(told) {
      this.told = told;
      if (!this.Plotly) return; // `mounted` draws it
      if (!due.size) requestAnimationFrame(drawDue);
      due.add(this);
    },
    draw() {
      const told = this.told;
      if (!told) return; // it shows another curve by now
      const data = [{ ...this.options.data[0], ...told.trace }];
      const heat = "z" in told.trace;
      data[0].type = heat ? "heatmap" : "scatter";
      data[0].colorscale = "Viridis"; // even steps of value look even, and in grey too
      const layout = { ...this.$el.layout, datarevision: told.revision };
      const [right, up] = told.labels;
      layout.xaxis = { ...layout.xaxis, title: { text: right } };
      layout.yaxis = { ...layout.yaxis, title: { text: heat ? up : told.title } };
      if (heat) data[0].colorbar = { title: { text: told.title, side: "right" } };
      this.Plotly.react(this.$el, data, layout, this.options.config);
      this.$el.dataset.revision = told.revision;
      this.$el.dataset.filled = told.filled;
      this.$el.dataset.drawn = Date.now();
    },
    key(event) {
      if (event.ctrlKey || event.metaKey || event.altKey) return; // the browser's own
      if (!this.$el._fullLayout) return; // nothing is drawn yet
      const isLine = this.$el._fullData.every((trace) => trace.type === "scatter");
      const change = keyed(event.key, this.$el._fullLayout, isLine);
      if (!change) return;
      event.preventDefault();
      this.Plotly.relayout(this.$el, change);
    },
    hear() {
      this.heard = true;
      this.$el.on("plotly_relayout", (change) => this.$emit("relayout", change));
      this.$el.on("plotly_click", (event) => {
        const point = event.points[0];
        this.$emit("pick", { x: point.x, y: point.y, z: point.z, curve: point.curveNumber });
      });
      this.$el.on("plotly_hover", (event) => {
        const point = event.points[0];
        if (point.z === undefined) return; // only maps have cuts
        this.$emit("hover", { x: point.x, y: point.y, z: point.z, curve: point.curveNumber });
      });
    },
    call(name, ...args) {
      return this.Plotly?.[name](this.$el, ...args) && undefined;
    },
  },
};
