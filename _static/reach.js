// Paragraphs and formulas that scroll sideways on a phone can be reached by the Tab key, as the theme does for code.
(() => {
  const reach = () =>
    document.querySelectorAll(".bd-article p, .bd-article div.math").forEach((part) => {
      if (part.scrollWidth > part.clientWidth) part.tabIndex = 0;
      else part.removeAttribute("tabindex");
    });
  window.addEventListener("load", () => Promise.resolve(window.MathJax?.startup?.promise).then(reach));
  window.addEventListener("resize", reach);
  // What is unfolded has a width only from then on; the theme looks at code again after a change of size.
  document.addEventListener("click", (event) => {
    if (event.target.closest("summary, .toggle"))
      setTimeout(() => window.dispatchEvent(new Event("resize")));
  });
})();
