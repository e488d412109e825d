/* The browser's own choices: what a person chooses goes to the store that the choice names, and
   what the server sets ("data-value") is shown. */
function show(choice) {
  const values = [].concat(JSON.parse(choice.dataset.value || "null"));
  for (const option of choice.options) option.selected = values.includes(option.value);
}

function chosen(choice) {
  const values = [...choice.selectedOptions].map((option) => option.value);
  return choice.multiple ? values : values[0];
}

function look() {
  for (const choice of document.querySelectorAll("select[data-store]")) {
    const wanted = `${choice.dataset.value} ${choice.options.length}`;
    if (choice.dataset.shown !== wanted) {
      choice.dataset.shown = wanted;
      show(choice);
    }
    if (!choice.dataset.heard) {
      choice.dataset.heard = "yes";
      choice.addEventListener("change", () =>
        window.dash_clientside.set_props(choice.dataset.store, { data: chosen(choice) }),
      );
    }
  }
}

new MutationObserver(look).observe(document, {
  childList: true,
  subtree: true,
  attributes: true,
  attributeFilter: ["data-value"],
});
