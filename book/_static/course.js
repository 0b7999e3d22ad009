// What is wider than the column scrolls, and what scrolls can be reached by keyboard.
function reachable() {
  document.querySelectorAll("div.math, .pst-scrollable-table-container, pre").forEach((box) => {
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
  });
}
addEventListener("load", () => {
  reachable();
  if (window.MathJax && MathJax.startup) MathJax.startup.promise.then(reachable);
});
addEventListener("resize", reachable);
// The search's summaries are fetched, which a browser refuses from file://; the list of pages is not.
if (location.protocol === "file:" && typeof DOCUMENTATION_OPTIONS !== "undefined") {
  DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;
}
