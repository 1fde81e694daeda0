// Questions to the server. A POST says that it comes from this page; the answer or its one-line problem comes back.

export class Problem extends Error {
  constructor(words, status) {
    super(words);
    this.status = status;
  }
}

async function ask(path, options) {
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    throw new Problem("The dashboard does not answer. Is it still running?", 0);
  }
  const body = await answer.json().catch(() => null);
  if (!answer.ok) throw new Problem(body?.problem ?? `The dashboard answered ${answer.status}.`, answer.status);
  return body;
}

function address(path, query) {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== null && value !== "");
  const words = new URLSearchParams(given).toString();
  return `api/${path}${words ? `?${words}` : ""}`;
}

export function get(path, query = {}) {
  return ask(address(path, query));
}

export function post(path, body = {}, query = {}) {
  const headers = { "Content-Type": "application/json", "X-Townpost": "1" };
  return ask(address(path, query), { method: "POST", headers, body: JSON.stringify(body) });
}
