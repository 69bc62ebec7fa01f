/**
 * How often a request's text goes on as it did at an earlier place, by how many tokens before that place agree. Starts
 * from round figures between those of quotations and of prose (docs/decisions/085-prompt-lookup.md); what the request
 * itself does soon outweighs them. Knows counts only.
 */

/** Agreements of one class: the least, and how often the next token agreed too. */
const CLASSES = [
  { least: 2, share: 0.4 },
  { least: 3, share: 0.6 },
  { least: 4, share: 0.7 },
  { least: 5, share: 0.8 },
  { least: 7, share: 0.85 },
  { least: 10, share: 0.9 },
  { least: 15, share: 0.95 },
] as const;
/** How many observations the figures above count for. */
const PRIOR_WEIGHT = 4;
/** What an observation is worth after the next one of its class. */
const DECAY = 0.95;

export class MatchOdds {
  readonly #hits = new Float64Array(CLASSES.length);
  readonly #seen = new Float64Array(CLASSES.length);

  /** @param agreed tokens that agree, >= 2 @returns the chance that the next one does, above 0 and below 1 */
  next(agreed: number): number {
    const at = classOf(agreed);
    const prior = (CLASSES[at] as (typeof CLASSES)[number]).share * PRIOR_WEIGHT;
    return ((this.#hits[at] as number) + prior) / ((this.#seen[at] as number) + PRIOR_WEIGHT);
  }

  /** Notes whether the token behind `agreed` tokens agreed too. */
  observe(agreed: number, hit: boolean): void {
    const at = classOf(agreed);
    this.#hits[at] = (this.#hits[at] as number) * DECAY + (hit ? 1 : 0);
    this.#seen[at] = (this.#seen[at] as number) * DECAY + 1;
  }
}

function classOf(agreed: number): number {
  let at = CLASSES.length - 1;
  while (at > 0 && agreed < (CLASSES[at] as (typeof CLASSES)[number]).least) at--;
  return at;
}
