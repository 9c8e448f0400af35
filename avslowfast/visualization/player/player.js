"use strict";
(() => {
  const element = id => document.getElementById(id);
  const data = JSON.parse(element("data").textContent);
  const media = element("media"), timeline = element("timeline"), strip = element("strip"), heat = element("heat");
  const pressed = { mute: false, blind: false, evidence: false };
  const middles = data.windows.map(([start, stop]) => (start + stop) / 2);
  const SECONDS = 3; // of the strip, before and after now
  const WORDS = {
    both: data.cases.mute ? "The model sees and hears." : "",
    mute: "The model sees and does not hear: scores without sound.",
    blind: "The model hears and does not see: scores without frames.",
    none: "The model neither sees nor hears: there is nothing to score.",
  };
  let shown = ""; // case and window that the bars show

  const clock = t => {
    const tenths = Math.round(10 * t);
    return `${Math.floor(tenths / 600)}:${(tenths % 600 / 10).toFixed(1).padStart(4, "0")}`;
  };
  const percent = score => `${(100 * score).toFixed(0)} %`;
  const bytes = text => Uint8Array.from(atob(text), c => c.charCodeAt(0));
  const limited = (t, low, high) => Math.min(Math.max(t, low), high);
  const make = (tag, name, text) => {
    const made = document.createElement(tag);
    if (name) made.className = name;
    if (text !== undefined) made.textContent = text;
    return made;
  };
  const currentCase = () => pressed.mute && pressed.blind ? "none" : pressed.mute ? "mute" : pressed.blind ? "blind" : "both";
  const now = () => limited(media.currentTime || 0, 0, data.duration);
  // The window whose middle is nearest.
  const windowAt = t => {
    let low = 0, high = middles.length - 1;
    while (low < high) {
      const between = (low + high) >> 1;
      if ((middles[between] + middles[between + 1]) / 2 < t) low = between + 1; else high = between;
    }
    return low;
  };
  const seek = t => { media.currentTime = limited(t, 0, Math.max(data.duration - 0.01, 0)); draw(); };

  // ---- Evidence -----------------------------------------------------------------------------------------------------

  const maps = {};
  for (const kind of ["visual", "audio"]) {
    const found = data.evidence[kind];
    if (found) maps[kind] = { shape: found.shape, values: bytes(found.values) };
  }
  // Evidence of a window as a small picture, more opaque where there is more, in proportion to the score of its class.
  const picture = (kind, index, at) => {
    const { shape, values } = maps[kind];
    const visual = kind === "visual";
    const [width, height] = visual ? [shape[2], shape[1]] : [shape[0], shape[1]];
    const size = shape.reduce((a, b) => a * b, 1);
    const first = index * size + (visual ? at * width * height : 0);
    const image = new ImageData(width, height);
    const score = (data.cases.both.best[index].find(([number]) => number === data.evidence.of[index]) || [0, 0])[1];
    for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) {
      // Of the spectrogram, time is the first axis and low frequencies come first.
      const cell = visual ? y * width + x : x * height + (height - 1 - y);
      image.data.set([0, 240, 255, values[first + cell] * score * 0.75], 4 * (y * width + x));
    }
    const canvas = make("canvas");
    canvas.width = width; canvas.height = height;
    canvas.getContext("2d").putImageData(image, 0, 0);
    return canvas;
  };
  const showsEvidence = kind => pressed.evidence && currentCase() === "both" && kind in maps;

  // ---- Drawing ------------------------------------------------------------------------------------------------------

  const fitted = (canvas, width, height) => {
    const scale = window.devicePixelRatio || 1;
    const [w, h] = [Math.max(Math.round(width * scale), 1), Math.max(Math.round(height * scale), 1)];
    if (canvas.width !== w || canvas.height !== h) { canvas.width = w; canvas.height = h; }
    const context = canvas.getContext("2d");
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.clearRect(0, 0, width, height);
    return context;
  };

  const drawRows = () => {
    const rows = element("rows"), of = data.cases[currentCase()];
    rows.replaceChildren();
    for (const { class: number, levels } of of ? of.rows : []) {
      const [name, colour] = data.classes[number];
      const row = make("div", "row"), canvas = make("canvas");
      row.append(make("span", "", name), canvas);
      rows.append(row);
      const width = canvas.clientWidth, context = fitted(canvas, width, 14);
      context.fillStyle = colour;
      levels.forEach((level, i) => {
        const from = i ? (middles[i - 1] + middles[i]) / 2 : data.windows[0][0];
        const to = i < middles.length - 1 ? (middles[i] + middles[i + 1]) / 2 : data.windows[i][1];
        context.globalAlpha = level;
        context.fillRect(from / data.duration * width, 0, Math.max((to - from) / data.duration * width, 1), 14);
      });
    }
  };

  const drawTable = () => {
    const body = element("segments"), of = data.cases[currentCase()];
    body.replaceChildren();
    for (const [start, stop, number, score] of of ? of.segments : []) {
      const row = make("tr"), cell = make("td"), button = make("button", "", `${clock(start)} to ${clock(stop)}`);
      button.type = "button";
      button.addEventListener("click", () => seek(start));
      cell.append(button);
      row.append(cell, make("td", "", data.classes[number][0]), make("td", "", percent(score)));
      body.append(row);
    }
  };

  const drawBars = index => {
    const name = currentCase();
    if (shown === `${name} ${index}`) return;
    shown = `${name} ${index}`;
    element("bars").replaceChildren(...(data.cases[name] ? data.cases[name].best[index] : []).map(([number, score]) => {
      const [text, colour] = data.classes[number];
      const item = make("li"), words = make("div", "words"), track = make("div", "track"), level = make("div", "level");
      words.append(make("span", "", text), make("span", "", percent(score)));
      level.style.width = percent(score).replace(" ", "");
      level.style.background = colour;
      track.append(level);
      item.append(words, track);
      return item;
    }));
  };

  const images = data.spectrogram ? data.spectrogram.images.map(source => {
    const image = new Image();
    image.onload = () => draw();
    image.src = source;
    return image;
  }) : [];

  const drawStrip = (t, index) => {
    if (!strip) return;
    const width = strip.clientWidth, height = strip.clientHeight, context = fitted(strip, width, height);
    const { rate, columns } = data.spectrogram, scale = width / (2 * SECONDS);
    const x = seconds => (seconds - t + SECONDS) * scale;
    context.imageSmoothingEnabled = true;
    images.forEach((image, i) => {
      const from = i * columns / rate;
      if (image.complete && image.naturalWidth && x(from) < width && x(from + image.naturalWidth / rate) > 0)
        context.drawImage(image, x(from), 0, image.naturalWidth / rate * scale, height);
    });
    const [start, stop] = data.windows[index];
    if (showsEvidence("audio")) {
      const [first, last] = data.evidence.spans.audio[index];
      context.drawImage(picture("audio", index), x(first), 0, (last - first) * scale, height);
    }
    context.fillStyle = "#ffffff";
    context.fillRect(x(start), 0, (stop - start) * scale, 2);
    context.fillRect(x(start), height - 2, (stop - start) * scale, 2);
    context.fillRect(width / 2 - 1, 0, 2, height);
  };

  const drawHeat = (t, index) => {
    if (!heat) return;
    const { offsetLeft: left, offsetTop: top, clientWidth: width, clientHeight: height } = media;
    // The network sees the square in the middle.
    const side = Math.min(width, height);
    Object.assign(heat.style, {
      left: `${left + (width - side) / 2}px`, top: `${top + (height - side) / 2}px`, width: `${side}px`, height: `${side}px`,
    });
    const context = fitted(heat, side, side);
    if (!showsEvidence("visual")) return;
    const [start, stop] = data.evidence.spans.visual[index], times = maps.visual.shape[0];
    const at = limited(Math.floor((t - start) / Math.max(stop - start, 1e-6) * times), 0, times - 1);
    context.imageSmoothingEnabled = true;
    context.imageSmoothingQuality = "high";
    context.drawImage(picture("visual", index, at), 0, 0, side, side);
  };

  const draw = () => {
    const t = now(), index = windowAt(t), of = data.cases[currentCase()];
    drawBars(index);
    drawStrip(t, index);
    drawHeat(t, index);
    element("cursor").style.left = `${100 * t / Math.max(data.duration, 1e-6)}%`;
    element("now").textContent = clock(t);
    const [number, score] = of ? of.best[index][0] : [null, 0];
    timeline.setAttribute("aria-valuenow", t.toFixed(1));
    timeline.setAttribute("aria-valuetext", `${clock(t)}: ${number === null ? "nothing" : `${data.classes[number][0]}, ${percent(score)}`}`);
  };
  const drawAll = () => { shown = ""; drawRows(); drawTable(); draw(); };

  // ---- What people do -----------------------------------------------------------------------------------------------

  for (const name of Object.keys(pressed)) {
    const button = element(name);
    if (!button) continue;
    button.addEventListener("click", () => {
      pressed[name] = !pressed[name];
      button.setAttribute("aria-pressed", String(pressed[name]));
      const words = WORDS[currentCase()];
      const evidence = !pressed.evidence ? "" : currentCase() === "both"
        ? " Cyan is what speaks for the best class." : " Evidence is shown while the model sees and hears.";
      element("status").textContent = words + evidence;
      drawAll();
    });
  }
  const dragged = event => {
    const { left, width } = timeline.getBoundingClientRect();
    seek((event.clientX - left) / width * data.duration);
  };
  timeline.addEventListener("pointerdown", event => {
    timeline.setPointerCapture(event.pointerId);
    dragged(event);
  });
  timeline.addEventListener("pointermove", event => { if (event.buttons) dragged(event); });
  timeline.addEventListener("keydown", event => {
    const step = middles.length > 1 ? middles[1] - middles[0] : 1;
    const to = {
      ArrowLeft: now() - step, ArrowDown: now() - step, ArrowRight: now() + step, ArrowUp: now() + step,
      PageDown: now() - 10, PageUp: now() + 10, Home: 0, End: data.duration,
    }[event.key];
    if (to !== undefined) seek(to);
    else if (event.key === " " || event.key === "Enter") media.paused ? media.play() : media.pause();
    else return;
    event.preventDefault();
  });
  if (strip) strip.addEventListener("click", event => {
    const { left, width } = strip.getBoundingClientRect();
    seek(now() + ((event.clientX - left) / width - 0.5) * 2 * SECONDS);
  });
  const follow = () => { draw(); if (!media.paused && !media.ended) requestAnimationFrame(follow); };
  media.addEventListener("play", follow);
  for (const name of ["seeked", "timeupdate", "pause", "ended"]) media.addEventListener(name, draw);
  media.addEventListener("loadedmetadata", () => {
    // As large as its column, but never higher than the screen has room for.
    if (heat) element("screen").style.maxWidth = `calc(65vh * ${media.videoWidth / media.videoHeight})`;
    drawAll();
  });
  media.addEventListener("error", () => {
    element("status").textContent = "This browser cannot play the file; the scores are all here.";
  });
  new ResizeObserver(drawAll).observe(document.querySelector("main"));
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);

  element("length").textContent = clock(data.duration);
  element("status").textContent = WORDS.both;
  // As a blob, in which browsers can seek.
  media.src = URL.createObjectURL(new Blob([bytes(element("file").textContent)], { type: data.type }));
  drawAll();
})();
