// Before the first paint, so that nothing flashes: the choice made here, or else the system's.
(() => {
  const root = document.documentElement;
  const stored = () => {
    try {
      return localStorage.getItem("townpost-theme");
    } catch {
      return null;
    }
  };
  const chosen = stored();
  if (chosen === "dark" || chosen === "light") root.dataset.theme = chosen;
})();
