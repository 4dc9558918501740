// Without mermaid.min.js beside it (no npm at the build) a diagram stays the text that it is.
if (window.mermaid) {
  mermaid.initialize({ startOnLoad: true, theme: "neutral" });
}
