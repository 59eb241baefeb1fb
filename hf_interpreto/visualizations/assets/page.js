(() => {
  "use strict";
  const button = document.querySelector(".hfi-theme");
  const html = document.documentElement;
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  const current = () => html.dataset.theme || (system.matches ? "dark" : "light");
  button.hidden = false;
  button.addEventListener("click", () => {
    html.dataset.theme = current() === "dark" ? "light" : "dark";
    html.style.colorScheme = html.dataset.theme;
  });
})();
