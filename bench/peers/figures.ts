/** What was measured: values by row and contender, their medians, and who was best. Knows no engine. */
import { median } from '../report.js';
import { OURS } from './contenders.js';
import { lowerIsBetter } from './rows.js';

export interface BestFigure {
  contender: string;
  value: number;
}

export class Figures {
  readonly #rows = new Map<string, Map<string, number[]>>();

  /** Adds the values of one visit. */
  add(row: string, contender: string, values: readonly number[]): void {
    const figures = this.#rows.get(row) ?? new Map<string, number[]>();
    figures.set(contender, [...(figures.get(contender) ?? []), ...values]);
    this.#rows.set(row, figures);
  }

  /** Names in the order in which they were first measured. */
  get rows(): string[] {
    return [...this.#rows.keys()];
  }

  /** Who was measured in this row. */
  contenders(row: string): string[] {
    return [...(this.#rows.get(row)?.keys() ?? [])];
  }

  /** How many values a median stands for. */
  count(row: string, contender: string): number {
    return this.#rows.get(row)?.get(contender)?.length ?? 0;
  }

  median(row: string, contender: string): number | undefined {
    const values = this.#rows.get(row)?.get(contender);
    return values === undefined ? undefined : median(values);
  }

  /** The best of these contenders in this row; undefined if none was measured. */
  best(row: string, contenders: readonly string[]): BestFigure | undefined {
    const measured = contenders.flatMap((contender) => {
      const value = this.median(row, contender);
      return value === undefined ? [] : [{ contender, value }];
    });
    const sign = lowerIsBetter(row) ? 1 : -1;
    return measured.sort((a, b) => sign * (a.value - b.value))[0];
  }

  /**
   * Our best over the best of the others, or for times theirs over ours: more is better in every row.
   *
   * @param peers all others by default
   * @returns undefined if one side was not measured
   */
  gain(row: string, peers: readonly string[] = this.peers(row)): number | undefined {
    const [ours, theirs] = [this.best(row, OURS), this.best(row, peers)];
    if (ours === undefined || theirs === undefined) return undefined;
    return lowerIsBetter(row) ? theirs.value / ours.value : ours.value / theirs.value;
  }

  peers(row: string): string[] {
    return this.contenders(row).filter((name) => !OURS.some((own) => own === name));
  }
}
