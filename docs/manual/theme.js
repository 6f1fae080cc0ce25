/* Light, dark, or as the system has it. Debian's package of the theme has its own script in a form that
 * browsers do not take from a page of this kind; it is used where this is not so (conf.py). */
document.addEventListener("DOMContentLoaded", () => {
  const order = ["auto", "light", "dark"];
  document.documentElement.classList.remove("no-js");
  for (const button of document.getElementsByClassName("theme-toggle")) {
    button.addEventListener("click", () => {
      const next = order[(order.indexOf(document.body.dataset.theme) + 1) % order.length];
      document.body.dataset.theme = next;
      localStorage.setItem("theme", next);
    });
  }
});
