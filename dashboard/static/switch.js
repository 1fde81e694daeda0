// Dark or light: the system's choice until the button says otherwise, and again when both say the same.

const KEY = "townpost-theme";
const dark = matchMedia("(prefers-color-scheme: dark)");

function remember(choice) {
  try {
    if (choice) localStorage.setItem(KEY, choice);
    else localStorage.removeItem(KEY);
  } catch {
    // then it holds until the page is left
  }
}

export function bindTheme(button) {
  const root = document.documentElement;
  const system = () => (dark.matches ? "dark" : "light");
  const other = () => ((root.dataset.theme ?? system()) === "dark" ? "light" : "dark");
  const say = () => {
    button.title = `Switch to ${other()} colours`;
    button.setAttribute("aria-label", button.title);
  };
  button.addEventListener("click", () => {
    const next = other();
    if (next === system()) delete root.dataset.theme;
    else root.dataset.theme = next;
    remember(root.dataset.theme);
    say();
  });
  dark.addEventListener("change", say);
  say();
}
