// The filter of the examples: shows those whose data-change is the chosen one.
for (const fieldset of document.querySelectorAll("fieldset[data-filter]")) {
  const section = fieldset.closest("section");
  const shown = section.querySelector("[data-shown]");
  fieldset.addEventListener("change", (event) => {
    let count = 0;
    for (const example of section.querySelectorAll(".example")) {
      example.hidden = event.target.value !== "all" && !example.dataset.change.split(" ").includes(event.target.value);
      count += example.hidden ? 0 : 1;
    }
    shown.textContent = count === 1 ? "1 example" : `${count} examples`;
  });
}
