// Adds what pages do better with a script: they work without it.
"use strict";

// Buttons that copy a command.
for (const button of document.querySelectorAll("button[data-copy]")) {
  if (!navigator.clipboard) break;
  button.hidden = false;
  button.addEventListener("click", async () => {
    const label = button.firstChild;
    const before = label.textContent;
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
      label.textContent = "Copied";
    } catch {
      label.textContent = "Failed";
    }
    setTimeout(() => { label.textContent = before; }, 1500);
  });
}

// Search as you type: the results of the page that the form would lead to replace those of this page.
for (const form of document.querySelectorAll("form[data-live]")) {
  let timer;
  let request;
  const search = async () => {
    request?.abort();
    request = new AbortController();
    const query = new URLSearchParams();
    for (const [key, value] of new FormData(form)) {
      if (value) query.set(key, value);
    }
    const address = `${form.action.split("?")[0]}${query.size ? `?${query}` : ""}`;
    try {
      const response = await fetch(address, { signal: request.signal });
      const page = new DOMParser().parseFromString(await response.text(), "text/html");
      const results = page.getElementById("results");
      if (!response.ok || !results) return;
      document.getElementById("results").replaceWith(results);
      history.replaceState(null, "", address);
    } catch (error) {
      if (error.name !== "AbortError") form.submit();
    }
  };
  form.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(search, 150);
  });
}

// Lists that lead to another page as soon as something else is chosen.
for (const form of document.querySelectorAll("form[data-auto]")) {
  form.addEventListener("change", () => form.requestSubmit());
}
