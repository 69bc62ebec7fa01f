/**
 * Lets the rows of a list be dragged, with mouse, pen or finger. Knows rows and places; the listener reorders the list, and
 * the row that is dragged follows the pointer.
 */

/** A press that moves less than this is a click. */
const SLACK_PX = 4;

interface Drag {
  row: HTMLElement;
  pointer: number;
  /** From the row's upper edge to the pointer. */
  grabbedPx: number;
  startPx: number;
  isMoving: boolean;
}

/** @param onMove called whenever the row that is dragged passes another one, with its new place in the list, from 0 */
export function letDrag(list: HTMLElement, onMove: (row: HTMLElement, to: number) => void): void {
  let drag: Drag | undefined;

  const end = () => {
    if (drag === undefined) return;
    drag.row.classList.remove('is-dragged');
    drag.row.style.translate = '';
    drag = undefined;
  };

  list.addEventListener('pointerdown', (event) => {
    const target = event.target as Element;
    const row = target.closest<HTMLElement>('li');
    if (row === null || event.button !== 0 || target.closest('button') !== null) return;
    // A finger on the name scrolls the page; on the grip it drags.
    if (event.pointerType === 'touch' && target.closest('.grip') === null) return;
    const grabbedPx = event.clientY - row.getBoundingClientRect().top;
    drag = { row, pointer: event.pointerId, grabbedPx, startPx: event.clientY, isMoving: false };
    list.setPointerCapture(event.pointerId);
    event.preventDefault();
  });

  list.addEventListener('pointermove', (event) => {
    if (drag === undefined || event.pointerId !== drag.pointer) return;
    if (!drag.isMoving && Math.abs(event.clientY - drag.startPx) < SLACK_PX) return;
    drag.isMoving = true;
    drag.row.classList.add('is-dragged');
    const rows = [...list.children] as HTMLElement[];
    const at = rows.indexOf(drag.row);
    const to = rows.filter((row) => row !== drag?.row && middleOf(row) < event.clientY).length;
    if (to !== at) onMove(drag.row, to);
    drag.row.style.translate = '';
    const offset = event.clientY - drag.grabbedPx - drag.row.getBoundingClientRect().top;
    drag.row.style.translate = `0 ${offset}px`;
  });

  list.addEventListener('pointerup', end);
  list.addEventListener('pointercancel', end);
}

function middleOf(row: HTMLElement): number {
  const { top, height } = row.getBoundingClientRect();
  return top + height / 2;
}
