// Draws charts, and refreshes panels without getting in anybody's way.
"use strict";

(() => {
  const live = document.getElementById("live");
  const toggle = document.getElementById("refreshing");
  const charts = new Map();

  // Refreshing -----------------------------------------------------------------------------

  const isOn = () => !toggle || toggle.getAttribute("aria-pressed") === "true";

  if (toggle) {
    toggle.hidden = false;
    if (sessionStorage.getItem("refreshing") === "off") toggle.setAttribute("aria-pressed", "false");
    toggle.addEventListener("click", () => {
      const on = !isOn();
      toggle.setAttribute("aria-pressed", String(on));
      sessionStorage.setItem("refreshing", on ? "on" : "off");
    });
  }

  // Whoever reads, types or has opened something keeps it; a page that nobody sees asks nothing.
  const isInUse = (panel) =>
    panel.contains(document.activeElement) || panel.matches(":hover") && panel.querySelector(".tip:not([hidden])") ||
    panel.querySelector("details[open]");

  document.addEventListener("htmx:beforeRequest", (event) => {
    const panel = event.target.closest(".panel");
    if (!panel || panel.querySelector(".waiting")) return;
    if (!isOn() || document.hidden || isInUse(panel)) event.preventDefault();
  });

  const toneOf = (panel) => {
    const found = panel && panel.querySelector("[data-tone]");
    return found ? found.dataset.tone : "";
  };
  const words = { ok: "good again", warn: "needs attention", bad: "bad", none: "unknown", failed: "cannot be read" };
  const tones = new Map();

  const remember = (panel) => {
    const now = toneOf(panel), before = tones.get(panel.id);
    if (before !== undefined && now && before !== now && live) {
      const title = panel.querySelector("h2");
      live.textContent = `${title ? title.textContent : "A panel"}: ${words[now] || now}`;
    }
    tones.set(panel.id, now);
  };

  // A console that has stopped says so where the numbers are, instead of showing old ones as new.
  const lost = (event) => {
    const stamp = document.querySelector(".stamp");
    if (!stamp || (event.detail && event.detail.xhr && event.detail.xhr.status === 401)) return;
    stamp.textContent = "The console does not answer: what is shown is old. Start it with `movierec console`.";
    stamp.classList.add("bad-text");
  };
  document.addEventListener("htmx:sendError", lost);

  document.addEventListener("htmx:afterSwap", () => {
    const stamp = document.querySelector(".stamp");
    if (stamp) {
      stamp.textContent = `Times are UTC. Refreshed at ${new Date().toISOString().slice(11, 19)}.`;
      stamp.classList.remove("bad-text");
    }
    settle();
  });

  // Charts ---------------------------------------------------------------------------------

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  const TONES = { ours: "ours", also: "also", good: "good", bad: "bad", warn: "warn", soft: "muted" };
  const alpha = (value, share) => `color-mix(in srgb, ${value} ${share}%, transparent)`;

  const shown = (value, spec) => {
    if (value === null || value === undefined) return "–";
    if (spec.percent) return `${(value * 100).toFixed(2)}%`;
    return Math.abs(value) >= 1000 ? Math.round(value).toLocaleString("en-US") : String(+value.toPrecision(4));
  };

  const utc = (s, withDay) => {
    const text = new Date(s * 1000).toISOString();
    return withDay ? `${text.slice(5, 10)} ${text.slice(11, 16)}` : text.slice(11, 16);
  };

  // Canvas knows no color-mix everywhere: the browser resolves it on an element.
  const probe = document.createElement("span");
  probe.hidden = true;
  document.body.append(probe);
  const resolved = (value) => {
    probe.style.color = "";
    probe.style.color = value;
    return getComputedStyle(probe).color;
  };

  // A value without a neighbour has no line: it is a point.
  const alone = (plot, series) => {
    const values = plot.data[series], known = (i) => values[i] !== null && values[i] !== undefined;
    return [...values.keys()].filter((i) => known(i) && !known(i - 1) && !known(i + 1));
  };

  const seriesOf = (each) => {
    const stroke = resolved(colour(TONES[each.tone] || "ours"));
    const base = { label: each.name, scale: each.scale, stroke, width: 1.8, points: { show: false } };
    if (each.kind === "bars") {
      return { ...base, width: 0, fill: resolved(alpha(colour(TONES[each.tone]), 70)), paths: uPlot.paths.bars({ size: [0.72, 40], radius: 0.15 }) };
    }
    if (each.kind === "points") return { ...base, width: 0, paths: () => null, points: { show: true, size: 7, fill: stroke, stroke } };
    if (each.kind === "step") return { ...base, paths: uPlot.paths.stepped({ align: 1 }) };
    if (each.kind === "upper" || each.kind === "lower") return { ...base, width: 1, dash: [4, 3] };
    return { ...base, spanGaps: false, points: { show: true, size: 5, fill: stroke, filter: alone } };
  };

  const tooltip = (spec) => ({
    hooks: {
      init: (plot) => {
        plot.tip = document.createElement("div");
        plot.tip.className = "tip";
        plot.tip.hidden = true;
        plot.over.append(plot.tip);
        plot.over.addEventListener("mouseleave", () => { plot.tip.hidden = true; });
      },
      setCursor: (plot) => {
        const { idx, left } = plot.cursor;
        if (idx === null || idx === undefined || left < 0) { plot.tip.hidden = true; return; }
        const lines = spec.series
          .map((each, i) => [each.name, plot.data[i + 1][idx]])
          .filter(([, value]) => value !== null && value !== undefined);
        if (!lines.length) { plot.tip.hidden = true; return; }
        const head = document.createElement("b");
        head.textContent = utc(plot.data[0][idx], true);
        plot.tip.replaceChildren(head, ...lines.map(([name, value]) => {
          const line = document.createElement("div");
          line.textContent = `${name}: ${shown(value, spec)}`;
          return line;
        }));
        plot.tip.hidden = false;
        const wide = plot.over.clientWidth;
        plot.tip.style.left = left > wide / 2 ? "" : `${left + 14}px`;
        plot.tip.style.right = left > wide / 2 ? `${wide - left + 14}px` : "";
        plot.tip.style.top = "8px";
      },
    },
  });

  const marks = (spec) => ({
    hooks: {
      draw: (plot) => {
        const context = plot.ctx, dense = devicePixelRatio || 1;
        for (const [i, mark] of spec.marks.entries()) {
          const y = Math.round(plot.valToPos(mark.at, "y", true));
          if (y < plot.bbox.top || y > plot.bbox.top + plot.bbox.height) continue;
          context.save();
          context.strokeStyle = resolved(colour("soft"));
          context.fillStyle = resolved(colour("soft"));
          context.setLineDash([5 * dense, 4 * dense]);
          context.beginPath();
          context.moveTo(plot.bbox.left, y);
          context.lineTo(plot.bbox.left + plot.bbox.width, y);
          context.stroke();
          context.font = `${11 * dense}px system-ui, sans-serif`;
          context.textAlign = "right";
          const place = [mark.text, plot.bbox.left + plot.bbox.width - 4 * dense, i % 2 ? y + 13 * dense : y - 5 * dense];
          context.setLineDash([]);
          context.lineWidth = 5 * dense;
          context.strokeStyle = resolved(colour("card"));
          context.strokeText(...place);
          context.fillText(...place);
          context.restore();
        }
      },
    },
  });

  const range = (spec) => (_, low, high) => {
    const known = spec.marks.map((mark) => mark.at);
    const least = Math.min(low ?? 0, ...known), most = Math.max(high ?? 1, ...known);
    if (least >= 0 && !known.length && !spec.percent) return [0, most > 0 ? most * 1.08 : 1];
    const room = (most - least || Math.abs(most) || 1) * 0.08;
    return [least >= 0 && least - room < 0 ? 0 : least - room, most + room];
  };

  const draw = (place) => {
    const spec = JSON.parse(place.dataset.chart);
    const soft = resolved(colour("soft")), line = resolved(colour("line-soft"));
    const scales = [...new Set(spec.series.map((each) => each.scale))];
    const days = spec.x.length && spec.x[spec.x.length - 1] - spec.x[0] > 90000;
    const axis = { stroke: soft, grid: { stroke: line, width: 1 }, ticks: { show: false }, font: "11px system-ui, sans-serif", size: 46 };
    const bands = spec.series.flatMap((each, i) => each.kind === "upper"
      ? [{ series: [i + 1, i + 2], fill: resolved(alpha(colour(TONES[each.tone]), 16)) }] : []);
    const options = {
      width: Math.max(place.clientWidth, 200),
      height: Number(place.dataset.height),
      padding: [10, scales.length > 1 ? 0 : 10, 0, 0],
      legend: { show: false },
      cursor: { y: false, points: { size: 6 }, drag: { x: false, y: false } },
      scales: { x: { time: true }, ...Object.fromEntries(scales.map((name) => [name, { range: range(name === "y" ? spec : { ...spec, marks: [] }) }])) },
      axes: [
        { ...axis, size: 28, grid: { show: false }, space: 70, values: (_, at) => at.map((s) => utc(s, days)) },
        ...scales.map((name, i) => ({
          ...axis, scale: name, side: i ? 1 : 3, grid: i ? { show: false } : axis.grid, size: spec.percent ? 56 : 46,
          values: (_, at) => at.map((value) => spec.percent ? `${+(value * 100).toFixed(2)}%` : shown(value, spec) + (i ? ` ${name}` : "")),
        })),
      ],
      series: [{}, ...spec.series.map((each) => seriesOf(each))],
      bands,
      plugins: [tooltip(spec), marks(spec)],
      tzDate: (s) => uPlot.tzDate(new Date(s * 1000), "Etc/UTC"),
    };
    const plot = new uPlot(options, [spec.x, ...spec.series.map((each) => each.values)], place);
    charts.set(place, plot);
  };

  const settle = () => {
    for (const [place, plot] of charts) {
      if (!place.isConnected) { plot.destroy(); charts.delete(place); }
    }
    for (const place of document.querySelectorAll(".plot")) {
      if (!charts.has(place) && window.uPlot) draw(place);
    }
    document.querySelectorAll(".panel").forEach(remember);
  };

  const again = () => {
    for (const [place, plot] of charts) { plot.destroy(); place.replaceChildren(); }
    charts.clear();
    settle();
  };

  let waiting;
  window.addEventListener("resize", () => { clearTimeout(waiting); waiting = setTimeout(again, 150); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
  settle();
})();
