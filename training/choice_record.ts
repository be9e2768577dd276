// How decidedly mixtures chose over held-out examples, as records keep it: counts and shares, never tokens, so that a
// record's size does not grow with the examples.

/** A token whose margin, the largest probability minus the second, is below this is a near tie. */
export const nearTie = 0.1;

/** Bins of equal width from 0 to 1 that margins are counted in. */
export const marginBins = 20;

/** One mixture at one point of training. */
export interface PointChoices {
  /** Place of the layer in the model, counted from 0. */
  readonly layer: number;
  /** Share of tokens with a margin below 0.1; null for a router without a distribution. */
  readonly nearTies: number | null;
  /**
   * Share of tokens whose expert, the one that weighs most, is another than at the point before, no expert counted as one;
   * absent at the first point.
   */
  readonly changed?: number;
}

/** One mixture of a trained model, experts that every token goes to left out of all counts. */
export interface LayerChoices {
  /** Place of the layer in the model, counted from 0. */
  readonly layer: number;
  /** First experts that every token goes to. */
  readonly shared: number;
  /** Tokens by margin, in 20 bins of equal width from 0 to 1; null for a router without a distribution. */
  readonly margins: readonly number[] | null;
  /** [expert][expert]: tokens that went to both, 0 on the diagonal; null where no token went to two. */
  readonly together: readonly (readonly number[])[] | null;
  /** What passes to the next mixture; null in the last one. */
  readonly flow: ChoiceFlow | null;
  /**
   * For each expert up to eight words, those whose scores its mean output raises most above the mixture's; absent where the
   * output is no vocabulary, and in records from before 29 November 2026.
   */
  readonly promoted?: readonly (readonly string[])[];
}

/** From one mixture to the next. */
export interface ChoiceFlow {
  /** Place of the next mixture. */
  readonly to: number;
  /** [expert here][expert there]: tokens on which those weigh most. */
  readonly counts: readonly (readonly number[])[];
  /** What the first expert tells of the second, nats, with the bias of finite counts removed (Miller-Madow). */
  readonly information: number;
}
