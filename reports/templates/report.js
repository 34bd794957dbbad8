"use strict";
const form = document.querySelector(".filters");
const items = [...document.querySelectorAll("details.item")];

function reveal() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (target instanceof HTMLDetailsElement) {
    target.open = true;
    target.scrollIntoView();
  }
}

function filter() {
  const words = form.elements.words.value.toLowerCase().split(/\s+/).filter(Boolean);
  const { value: status } = form.elements.status;
  const { value: severity } = form.elements.severity;
  const { value: section } = form.elements.section;
  let shown = 0;
  for (const item of items) {
    item.words ??= `${item.id} ${item.textContent}`.toLowerCase();
    item.hidden = !(
      (!status || item.dataset.status.split(" ").includes(status)) &&
      (!severity || item.dataset.severity === severity) &&
      (!section || item.closest(".part").id === section) &&
      words.every((word) => item.words.includes(word))
    );
    shown += !item.hidden;
  }
  for (const part of document.querySelectorAll(".group, .part")) {
    part.hidden = !part.querySelector("details.item:not([hidden])");
  }
  document.getElementById("shown").textContent = `${shown} of ${items.length} items`;
}

function setOpen(open) {
  for (const item of items) if (!item.hidden) item.open = open;
}

if (form) {
  form.hidden = false;
  form.addEventListener("input", filter);
  form.addEventListener("reset", () => setTimeout(filter));
  form.addEventListener("submit", (event) => event.preventDefault());
  document.getElementById("open").addEventListener("click", () => setOpen(true));
  document.getElementById("close").addEventListener("click", () => setOpen(false));
  filter();
}

addEventListener("hashchange", reveal);
reveal();

let closed = [];
addEventListener("beforeprint", () => {
  closed = items.filter((item) => !item.open);
  for (const item of closed) item.open = true;
});
addEventListener("afterprint", () => {
  for (const item of closed) item.open = false;
});
