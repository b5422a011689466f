// Hide (R28) and focus, the only script of this app; every page works without it.
// Blank in place first, leave second: the screen empties before anything is asked of the network.
(() => {
  "use strict";
  const IDLE_MS = 3 * 60 * 1000;
  const BEAT_MS = 60 * 1000;
  const SHIFT_WINDOW_MS = 1500;
  const page = document.body.dataset;
  const leave = document.querySelector("form[data-leave]");
  const rest = document.querySelector("form[data-rest]");
  const away = page.away || "/";
  let gone = false;
  let isTouched = false;
  let lastMove = Date.now();
  let lastBeat = Date.now();
  let shifts = [];

  // A browser ignores "autofocus" in a frame of another site, which is where an EHR shows us: give the next control the
  // focus ourselves, so that a clinician can go on by keyboard, and so that Esc reaches this page and not the chart's.
  if (document.activeElement === document.body) document.querySelector("[autofocus]")?.focus();

  function blank() {
    gone = true;
    document.title = page.title || "";
    document.body.replaceChildren();
    document.body.removeAttribute("class");
  }

  // Read what a form would send before the page is emptied; send it with "keepalive" so that leaving cannot cut it off.
  function letter(form) {
    return form && { to: form.getAttribute("action"), body: new URLSearchParams(new FormData(form)) };
  }

  function post(mail) {
    if (!mail) return Promise.resolve();
    const request = fetch(mail.to, { method: "POST", body: mail.body, credentials: "same-origin", keepalive: true, redirect: "manual" });
    const patience = new Promise((done) => setTimeout(done, 2000));
    return Promise.race([request.catch(() => navigator.sendBeacon(mail.to, mail.body)), patience]);
  }

  function hide() {
    if (gone) return;
    const mail = letter(leave);
    blank();
    post(mail).finally(() => location.replace(away));
  }

  // Nothing was entered: back to the neutral first page, locked again. Something was entered, or this is that page: end.
  function idle() {
    if (gone) return;
    if (!rest || isTouched) return hide();
    const mail = letter(rest);
    blank();
    post(mail).finally(() => location.replace(page.home));
  }

  function moved() {
    lastMove = Date.now();
  }

  // The server ends a launch that asks for nothing for four minutes. Whoever still moves on this page is here: say so,
  // once a minute at most, or a long talk over one form would lose it.
  function beat() {
    if (gone || lastMove <= lastBeat || Date.now() - lastBeat < BEAT_MS) return;
    lastBeat = Date.now();
    fetch(`${page.home}phones`, { method: "HEAD", credentials: "same-origin" }).catch(() => {});
  }

  function checkClock() {
    if (page.idle !== "on") return;
    if (Date.now() - lastMove >= IDLE_MS) idle();
    else beat();
  }

  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      event.preventDefault();
      hide();
    } else if (event.key === "Shift" && !event.repeat) {
      const now = Date.now();
      shifts = [...shifts.filter((at) => now - at < SHIFT_WINDOW_MS), now];
      if (shifts.length >= 3) hide();
    } else {
      shifts = [];
    }
  }, { capture: true });

  document.querySelectorAll("[data-hide]").forEach((control) => {
    control.addEventListener("click", (event) => {
      event.preventDefault();
      hide();
    });
  });

  for (const name of ["pointerdown", "pointermove", "keydown", "wheel", "touchstart"]) {
    addEventListener(name, moved, { capture: true, passive: true });
  }
  addEventListener("input", () => { isTouched = true; }, { capture: true });
  setInterval(checkClock, 1000);
  document.addEventListener("visibilitychange", checkClock);

  // Back must not bring a page out of memory: empty it, then ask the server, which shows nothing once a launch has ended.
  addEventListener("pageshow", (event) => {
    if (!event.persisted) return;
    blank();
    location.reload();
  });
})();
