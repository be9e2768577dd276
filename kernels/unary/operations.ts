// The functions of one number that `unary` and `unary_gradient` know, with derivatives, in f64; their place in this
// list is their number in the programs.

/** A function of one number; `gelu` is the exact one, by the error function. */
export type UnaryOp =
  | "relu"
  | "gelu"
  | "silu"
  | "exp"
  | "log"
  | "negate"
  | "square"
  | "sqrt"
  | "sigmoid"
  | "tanh"
  | "reciprocal";

interface Operation {
  readonly name: UnaryOp;
  value(x: number): number;
  derivative(x: number): number;
  /** Floating-point operations a value costs, roughly. */
  readonly flop: number;
}

const operations: readonly Operation[] = [
  { name: "relu", value: (x) => x < 0 ? 0 : x, derivative: (x) => x > 0 ? 1 : 0, flop: 1 },
  {
    name: "gelu",
    value: (x) => bounded(x, Infinity) * normalCdf(x),
    derivative: (x) => normalCdf(x) + bounded(x) * density(x),
    flop: 40,
  },
  {
    name: "silu",
    value: (x) => bounded(x, Infinity) * sigmoid(x),
    derivative: (x) => sigmoid(x) * (1 + bounded(x) * sigmoid(-x)),
    flop: 25,
  },
  { name: "exp", value: Math.exp, derivative: Math.exp, flop: 20 },
  { name: "log", value: Math.log, derivative: (x) => 1 / x, flop: 30 },
  { name: "negate", value: (x) => -x, derivative: () => -1, flop: 1 },
  { name: "square", value: (x) => x * x, derivative: (x) => 2 * x, flop: 1 },
  { name: "sqrt", value: Math.sqrt, derivative: (x) => 0.5 / Math.sqrt(x), flop: 1 },
  { name: "sigmoid", value: sigmoid, derivative: (x) => sigmoid(x) * sigmoid(-x), flop: 25 },
  { name: "tanh", value: Math.tanh, derivative: (x) => 1 / Math.cosh(x) ** 2, flop: 35 },
  { name: "reciprocal", value: (x) => 1 / x, derivative: (x) => -1 / (x * x), flop: 1 },
];

/** Which function to apply. */
export interface UnaryParams {
  readonly op: UnaryOp;
}

/** Every name, in order. */
export const unaryOps: readonly UnaryOp[] = operations.map((operation) => operation.name);

/** An operation and its number in the programs. */
export function unaryOperation(kernel: string, op: UnaryOp): { operation: Operation; number: number } {
  const number = unaryOps.indexOf(op);
  if (number < 0) {
    throw new RangeError(`Cannot run ${kernel}: there is no op "${op}", there are ${unaryOps.join(", ")}`);
  }
  return { operation: operations[number], number };
}

/** x, where it multiplies what is 0 at infinity: a large number in place of infinity, whose product would be NaN. */
function bounded(x: number, most = 1e40): number {
  return Math.min(Math.max(x, -1e40), most);
}

function sigmoid(x: number): number {
  return 1 / (1 + Math.exp(-x));
}

function density(x: number): number {
  return Math.exp(-x * x / 2) / Math.sqrt(2 * Math.PI);
}

/** Standard normal distribution function: the series around 0, the continued fraction in the tails. */
function normalCdf(x: number): number {
  const size = Math.abs(x);
  if (size < 3) {
    let sum = 0;
    for (let n = 1, term = x; Math.abs(term) > 1e-18; n += 2, term *= x * x / n) sum += term;
    return 0.5 + density(x) * sum;
  }
  let fraction = size;
  if (size < 40) { for (let n = 100; n > 0; n--) fraction = size + n / fraction; }
  const tail = size > 40 ? 0 : density(x) / fraction;
  return x < 0 ? tail : 1 - tail;
}
