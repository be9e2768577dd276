// A workload as data: what its inputs are and what every contender must give. Only types, so that one that needs a whole
// model can have a file of its own.

/** Values with their shape. */
export interface Values {
  readonly shape: readonly number[];
  readonly values: Float32Array | Int32Array;
}

/** An output as it should be, and the largest |found - wanted| / |wanted| (Euclidean norms) that rounding explains. */
export interface Wanted {
  readonly values: ArrayLike<number>;
  readonly allowed: number;
  /** What differences are measured against, when not the values themselves. */
  readonly scale?: number;
}

/** One thing to compare. */
export interface Workload {
  readonly name: string;
  readonly about: string;
  /** What a contender needs to know, by name. */
  readonly sizes: Readonly<Record<string, number | string>>;
  /** Floating-point operations of the products in one call; null where a rate would say nothing. */
  readonly flop: number | null;
  /** Draws inputs and computes what should come out. */
  prepare(): Promise<{
    readonly inputs: Readonly<Record<string, Values>>;
    readonly wanted: Readonly<Record<string, Wanted>>;
    /** Sizes that follow from the inputs. */
    readonly sizes?: Readonly<Record<string, number>>;
  }>;
}
