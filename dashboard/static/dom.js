// Builds elements. Whatever comes from outside arrives as text nodes or attributes, never as markup.

const SVG = "http://www.w3.org/2000/svg";

function fill(node, props, children) {
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "class") node.setAttribute("class", value);
    else if (name === "data") Object.assign(node.dataset, value);
    else if (name in node && typeof value === "boolean") node[name] = value;
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** `h("p", {class: "note"}, "text", node)`; `onclick` and the like are listeners, `data` is the dataset. */
export function h(tag, props, ...children) {
  return fill(document.createElement(tag), props, children);
}

export function svg(tag, props, ...children) {
  return fill(document.createElementNS(SVG, tag), props, children);
}

/** Set a node's text only if it differs: selections and the layout stay as they are. */
export function put(node, value) {
  const words = String(value);
  if (node.textContent !== words) node.textContent = words;
}

export function clear(node) {
  node.replaceChildren();
  return node;
}

export const reducedMotion = matchMedia("(prefers-reduced-motion: reduce)");
