// Asks the browser for a passkey and sends its answer with the form. The form names the ceremony and holds its options.
(() => {
  "use strict";
  const form = document.querySelector("form[data-passkey]");
  const browser = globalThis.SimpleWebAuthnBrowser;
  if (!form) return;
  const problem = form.querySelector("[data-problem]");
  const button = form.querySelector("[data-ask]");

  function tell(words) {
    problem.textContent = words;
    problem.hidden = false;
    button.disabled = false;
    button.focus();
  }

  if (!browser?.browserSupportsWebAuthn()) {
    tell(form.dataset.unable);
    button.disabled = true;
    return;
  }
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    button.disabled = true;
    problem.hidden = true;
    const optionsJSON = JSON.parse(form.dataset.options);
    try {
      const ask = form.dataset.passkey === "register" ? browser.startRegistration : browser.startAuthentication;
      const answer = await ask({ optionsJSON });
      form.elements.answer.value = JSON.stringify(answer);
      form.submit();
    } catch (error) {
      tell(error.name === "InvalidStateError" ? form.dataset.known : form.dataset.failed);
    }
  });
})();
