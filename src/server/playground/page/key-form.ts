/** Where the API key is entered. It opens by itself when the server refuses a request for want of a key. */
import { find } from './dom.js';
import type { ServerApi } from './server-api.js';

/** @param onKey called when a key was given */
export function takeKey(api: ServerApi, onKey: () => void): void {
  const form = find(document, '#key-form', HTMLFormElement);
  const input = find(document, '#key', HTMLInputElement);
  const button = find(document, '#key-button', HTMLButtonElement);
  const reason = find(document, '#key-reason', HTMLElement);
  const show = (isOpen: boolean) => {
    form.hidden = !isOpen;
    button.setAttribute('aria-expanded', String(isOpen));
    if (isOpen) input.focus();
  };
  button.addEventListener('click', () => show(form.hidden === true));
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    api.useKey(input.value);
    input.value = '';
    show(false);
    onKey();
  });
  api.onKeyRefused = (error) => {
    reason.textContent = api.hasKey ? `${error.message} This key is not taken.` : 'This server asks for an API key.';
    show(true);
  };
}
