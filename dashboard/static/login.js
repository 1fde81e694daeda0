// Where DASHBOARD_TOKEN is set: the one door.

import { post } from "./api.js";
import { h } from "./dom.js";
import { head } from "./parts.js";

export const title = "Sign in";

export class Screen {
  constructor(app) {
    const token = h("input", { type: "password", autocomplete: "current-password", required: true });
    const problem = h("p", { class: "bad small", role: "alert" });
    const form = h(
      "form",
      { class: "card login" },
      head("Sign in"),
      h("label", { class: "field" }, "Token", token, h("small", {}, "The value of DASHBOARD_TOKEN.")),
      problem,
      h("button", { class: "main" }, "Sign in"),
    );
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      problem.textContent = "";
      try {
        await post("login", { token: token.value });
        await app.begin();
      } catch (error) {
        problem.textContent = error.message;
      }
    });
    this.node = form;
  }
}
