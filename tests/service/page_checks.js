// What Lighthouse and axe look for, as far as it can be told from a page as it is drawn: each check returns what it found amiss.
() => {
  const seen = (element) => element.checkVisibility({ visibilityProperty: true, opacityProperty: true });
  const all = (selector) => [...document.querySelectorAll(selector)].filter(seen);
  const told = (element) => `<${element.tagName.toLowerCase()} id="${element.id}" class="${element.getAttribute("class") ?? ""}"> ${element.textContent.trim().slice(0, 40)}`;

  const titles = () => {
    const found = [];
    if (!/^\S.* · crossmargin$/.test(document.title)) found.push(`title “${document.title}”`);
    if (document.documentElement.lang !== "en") found.push(`lang “${document.documentElement.lang}”`);
    const viewport = document.querySelector("meta[name=viewport]")?.content ?? "";
    if (!viewport.includes("width=device-width") || /user-scalable=no|maximum-scale/.test(viewport)) found.push(`viewport “${viewport}”`);
    return found;
  };

  const headings = () => {
    const levels = all("h1, h2, h3, h4, h5, h6, [role=heading]").filter((each) => !each.closest("dialog"));
    const found = levels.filter((each) => each.tagName === "H1").length === 1 ? [] : ["a page has one h1"];
    let last = 0;
    for (const each of levels) {
      const level = Number(each.tagName[1] ?? each.ariaLevel);
      if (level > last + 1 || !each.textContent.trim()) found.push(`${told(each)} after h${last}`);
      last = level;
    }
    return found;
  };

  const landmarks = () => (all("main, [role=main]").length === 1 ? [] : ["a page has one main"])
    .concat(all("nav, [role=navigation], [role=region]").filter((each) => !each.ariaLabel && !each.getAttribute("aria-labelledby")).map(told));

  // a placeholder goes when somebody types, and names nothing
  const labels = () => all("input, select, textarea")
    .filter((each) => ![...each.labels].some((label) => label.textContent.trim()) && !each.ariaLabel?.trim() && !each.getAttribute("aria-labelledby"))
    .map(told);

  const CONTEXT = { row: "grid, table, rowgroup", gridcell: "row", rowheader: "row", columnheader: "row", rowgroup: "grid, table" };
  const ROLES = new Set(["alert", "grid", "group", "img", "presentation", "region", "row", "rowgroup", "gridcell", "rowheader", "columnheader", "search", "status", "dialog", "note"]);
  const STATES = { selected: "row, gridcell, rowheader, option, tab", sort: "columnheader", rowindex: "row, gridcell, rowheader", rowcount: "grid, table", pressed: "button" };
  const is = (element, roles) => roles.split(", ").includes(element.getAttribute("role") ?? element.tagName.toLowerCase());
  const roles = () => {
    const found = all("[role]").filter((each) => !ROLES.has(each.getAttribute("role"))).map((each) => `no such role: ${told(each)}`);
    for (const [role, within] of Object.entries(CONTEXT)) for (const each of all(`[role=${role}]`)) {
      let parent = each.parentElement;
      while (parent?.getAttribute("role") === "presentation") parent = parent.parentElement;
      if (!is(parent, within)) found.push(`${role} outside of ${within}: ${told(each)}`);
    }
    for (const [state, on] of Object.entries(STATES)) for (const each of all(`[aria-${state}]`))
      if (!is(each, on)) found.push(`aria-${state} on ${told(each)}`);
    for (const name of ["aria-labelledby", "aria-describedby", "aria-controls"]) for (const each of all(`[${name}]`))
      if (each.getAttribute(name).split(" ").some((id) => !document.getElementById(id))) found.push(`${name} names nothing: ${told(each)}`);
    // what has no role of its own is given no name that a reader would skip
    for (const each of all("div[aria-label], span[aria-label], i[aria-label], p[aria-label]")) if (!each.hasAttribute("role")) found.push(`a name without a role: ${told(each)}`);
    return found;
  };

  const ids = () => {
    const held = [...document.querySelectorAll("[id]")].map((each) => each.id);
    return held.filter((id, at) => held.indexOf(id) !== at);
  };

  const tables = () => all("table").flatMap((table) => [
    ...(table.caption?.textContent.trim() || table.ariaLabel || table.closest("dialog") ? [] : [`no caption: ${told(table)}`]),
    ...[...table.querySelectorAll("th")].filter((th) => !th.textContent.trim() || !th.scope).map((th) => `th without text or scope: ${told(th)} in ${told(table)}`),
  ]);

  // WCAG 2.2, success criterion 2.5.8: 24 by 24 pixels; links in lines of text are excepted
  const targets = () => all("button, input, select, summary, nav a").filter((each) => {
    const box = (each.type === "checkbox" ? each.closest("label") : each).getBoundingClientRect();
    return box.width < 23.9 || box.height < 23.9;
  }).map((each) => `${told(each)} ${JSON.stringify(each.getBoundingClientRect())}`);

  const FOCUSABLE = "a[href], button:not(:disabled), input:not(:disabled), select:not(:disabled), summary, [tabindex='0']";
  const scrolling = () => {
    const found = document.documentElement.scrollWidth > innerWidth ? [`the page is ${document.documentElement.scrollWidth} wide on ${innerWidth}`] : [];
    for (const each of all("body *")) {
      const style = getComputedStyle(each);
      const [across, down] = [/auto|scroll/.test(style.overflowX) && each.scrollWidth > each.clientWidth + 1, /auto|scroll/.test(style.overflowY) && each.scrollHeight > each.clientHeight + 1];
      if ((across || down) && each.tabIndex < 0 && !each.querySelector(FOCUSABLE)) found.push(`no key scrolls ${told(each)}`);
      if (each.tabIndex === 0 && !each.matches("a, button, input, select, summary") && !each.ariaLabel && !each.getAttribute("aria-labelledby")) found.push(`it can be reached and has no name: ${told(each)}`);
    }
    return found;
  };

  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const known = new Map(); // a page has few colours and much text
  const rgba = (colour) => known.get(colour) ?? known.set(colour, read(colour)).get(colour);
  const read = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const luminance = ([r, g, b]) => {
    const linear = [r, g, b].map((c) => c / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
  };
  const ratio = (one, other) => {
    const [a, b] = [luminance(one), luminance(other)].sort((x, y) => y - x);
    return (a + 0.05) / (b + 0.05);
  };
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = rgba(getComputedStyle(at).backgroundColor);
      if (colour[3] === 255) return colour;
    }
    return rgba("Canvas");
  };
  // WCAG 2.2, success criterion 1.4.3 (AA): 4.5 to 1, and 3 to 1 for large text
  const contrast = () => {
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    const found = [];
    while (walker.nextNode()) {
      const element = walker.currentNode.parentElement;
      const text = walker.currentNode.textContent.trim();
      if (!text || /^(SCRIPT|STYLE|NOSCRIPT|OPTION)$/.test(element.tagName) || !element.checkVisibility() || element.closest(":disabled")) continue;
      const style = getComputedStyle(element);
      const points = parseFloat(style.fontSize) * 0.75;
      const least = points >= 18 || (points >= 14 && Number(style.fontWeight) >= 700) ? 3 : 4.5;
      const has = ratio(rgba(style.color), ground(element));
      if (has < least) found.push(`${has.toFixed(2)} to 1: ${text.slice(0, 40)}`);
    }
    for (const each of all("input, select")) {
      const faint = [getComputedStyle(each), getComputedStyle(each, "::placeholder")].map((style) => ratio(rgba(style.color), ground(each)));
      if (Math.min(...faint) < 4.5) found.push(`${Math.min(...faint).toFixed(2)} to 1: ${told(each)}`);
    }
    return found;
  };
  // 1.4.11: 3 to 1 for what a drawing or a control is known by; drawings on canvases take their colours from these
  const graphics = () => {
    const style = getComputedStyle(document.documentElement);
    const of = (name) => rgba(style.getPropertyValue(`--${name}`));
    const needs = { fg: 4.5, dim: 4.5, accent: 3, bad: 3, warn: 3, edge: 3, "line-1": 3, "line-2": 3, "line-3": 3, low: 3, high: 3 };
    return Object.entries(needs).flatMap(([name, least]) => ["bg", "panel"].filter((behind) => ratio(of(name), of(behind)) < least)
      .map((behind) => `--${name} on --${behind}: ${ratio(of(name), of(behind)).toFixed(2)} to 1`));
  };

  return Object.fromEntries(Object.entries({ titles, headings, landmarks, labels, roles, ids, tables, targets, scrolling, contrast, graphics }).map(([name, check]) => [name, check()]));
};
