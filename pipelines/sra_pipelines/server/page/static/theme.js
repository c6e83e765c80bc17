// Runs before the page is drawn, so that the chosen colors do not flash.
const chosen = localStorage.getItem("sra-rag-theme");
if (chosen) document.documentElement.dataset.theme = chosen;
