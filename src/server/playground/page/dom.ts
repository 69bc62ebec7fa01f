/** Small steps over the DOM: parts that index.html promises, copies of its templates, words for screen readers. */
import { ServerError } from './server-api.js';

/** @throws Error if index.html lacks the part */
export function find<T extends Element>(root: ParentNode, selector: string, type: new () => T): T {
  const found = root.querySelector(selector);
  if (!(found instanceof type)) throw new Error(`index.html has no ${selector}`);
  return found;
}

/** A copy of the one element of `<template id>`. */
export function copyTemplate(id: string): HTMLElement {
  const { content } = find(document, `template#${id}`, HTMLTemplateElement);
  const copy = document.importNode(content, true).firstElementChild;
  if (!(copy instanceof HTMLElement)) throw new Error(`the template ${id} is empty`);
  return copy;
}

export function element<K extends keyof HTMLElementTagNameMap>(tag: K, className: string, text = '') {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}

/** Says a sentence to those who do not see the page. */
export function announce(text: string): void {
  find(document, '#live', HTMLElement).textContent = text;
}

/** Shows an error in the server's own words, with what to do about it; without one, nothing. */
export function showError(place: HTMLElement, error?: unknown): void {
  if (error === undefined) {
    place.replaceChildren();
    return;
  }
  const message = element('p', 'error-message', error instanceof Error ? error.message : String(error));
  const remedy = error instanceof ServerError ? error.remedy : '';
  place.replaceChildren(message, ...(remedy === '' ? [] : [element('p', 'error-remedy', remedy)]));
}
