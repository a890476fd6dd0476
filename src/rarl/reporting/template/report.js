// Everything on the page can be read without this script; it adds the theme's button and the browser of examples.
"use strict";
{
  const root = document.documentElement;
  const byId = (id) => document.getElementById(id);

  // --- the theme: the system's, light or dark; kept where the browser lets a file keep something
  const themes = ["auto", "light", "dark"];
  const button = byId("theme");
  const recalled = () => { try { return localStorage.getItem("rarl-theme"); } catch { return null; } };
  const show = (theme) => {
    if (theme === "auto") delete root.dataset.theme; else root.dataset.theme = theme;
    button.textContent = `Theme: ${theme}`;
  };
  let theme = themes.includes(recalled()) ? recalled() : "auto";
  button.hidden = false;
  show(theme);
  button.addEventListener("click", () => {
    theme = themes[(themes.indexOf(theme) + 1) % themes.length];
    show(theme);
    try { localStorage.setItem("rarl-theme", theme); } catch { /* only this time, then */ }
  });

  // --- which section is read: its link is marked
  const links = new Map([...document.querySelectorAll("nav.bar a")].map((link) => [link.hash.slice(1), link]));
  const mark = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      if (!isIntersecting) continue;
      for (const link of links.values()) link.removeAttribute("aria-current");
      links.get(target.id)?.setAttribute("aria-current", "true");
    }
  }, { rootMargin: "-15% 0px -80% 0px" });
  for (const section of document.querySelectorAll("main section[id]")) mark.observe(section);

  // --- the browser of examples: a filter, a set and words must all fit; so many cards are shown at a time
  const form = byId("browser");
  if (form) {
    const PAGE = 8;
    const cards = [...document.querySelectorAll("#cards > .example")];
    const texts = new Map(cards.map((card) => [card, card.textContent.toLowerCase()]));
    const [search, source, count, none, more] = ["search", "source", "count", "none", "more"].map(byId);
    let room = PAGE;

    const fits = (card, filter, words) =>
      (filter === "all" || card.dataset.tags.split(" ").includes(filter)) &&
      (!source?.value || card.dataset.source === source.value) &&
      words.every((word) => texts.get(card).includes(word));

    const update = () => {
      const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
      const found = cards.filter((card) => fits(card, form.elements.filter.value, words));
      const shown = new Set(found.slice(0, room));
      for (const card of cards) card.hidden = !shown.has(card);
      const noun = found.length === 1 ? "example" : "examples";
      count.textContent = found.length > shown.size
        ? `${found.length} ${noun}, the first ${shown.size} shown`
        : `${found.length} ${noun}`;
      none.hidden = found.length > 0;
      more.hidden = found.length <= shown.size;
    };
    const restart = () => { room = PAGE; update(); };

    form.hidden = false;
    form.addEventListener("change", restart);
    form.addEventListener("input", restart);
    form.addEventListener("submit", (event) => event.preventDefault());
    more.addEventListener("click", () => {
      const next = [...shownCards()].length;
      room += PAGE;
      update();
      shownCards()[next]?.focus();
    });

    // Keys work within the section only, and never while something is typed.
    const shownCards = () => cards.filter((card) => !card.hidden);
    byId("examples").addEventListener("keydown", (event) => {
      const typing = event.target.matches("input[type=search], select");
      if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.key === "/") {
        event.preventDefault();
        search.focus();
      } else if (event.key === "j" || event.key === "k") {
        const list = shownCards();
        const here = list.indexOf(document.activeElement.closest(".example"));
        list[Math.max(0, Math.min(list.length - 1, here + (event.key === "j" ? 1 : -1)))]?.focus();
      }
    });
    update();
  }
}
