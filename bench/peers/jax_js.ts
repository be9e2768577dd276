// jax-js as a contender: jit, and valueAndGrad of the layer as a user would write it. Shapes are static, so every expert gets
// as many rows as the fullest one has, which is what a user who drops nothing has to choose.
import packages from "./packages.json" with { type: "json" };
import { Missing, type Peer, type Prepared, serve, type Task } from "./contender.ts";

/** An array; using one up ends it, `ref` keeps it for one more use. */
interface Ref {
  readonly ref: Ref;
  readonly shape: readonly number[];
  mul(other: Ref | number): Ref;
  add(other: Ref | number): Ref;
  sub(other: Ref | number): Ref;
  sum(axis?: number): Ref;
  mean(axis?: number): Ref;
  reshape(shape: readonly number[]): Ref;
  astype(type: unknown): Ref;
  transpose(): Ref;
  data(): Promise<Float32Array>;
}

type Function = (...values: Ref[]) => Ref;

interface Numpy {
  readonly float32: unknown;
  readonly int32: unknown;
  array(values: ArrayLike<number>): Ref;
  arange(count: number): Ref;
  argsort(x: Ref): Ref;
  cumsum(x: Ref): Ref;
  less(a: Ref, b: Ref): Ref;
  matmul(a: Ref, b: Ref): Ref;
  minimum(a: Ref, b: number): Ref;
  take(x: Ref, index: Ref, axis?: number): Ref;
}

interface Jax {
  readonly numpy: Numpy;
  readonly nn: {
    relu(x: Ref): Ref;
    softmax(x: Ref, axis: number): Ref;
    oneHot(x: Ref, classes: number): Ref;
  };
  readonly lax: { topK(x: Ref, k: number): [Ref, Ref]; stopGradient(x: Ref): Ref };
  readonly tree: { dispose(values: unknown): void };
  init(device: string): Promise<readonly string[]>;
  defaultDevice(device: string): void;
  jit<F>(of: F): F;
  valueAndGrad(of: Function, options: { argnums: number[] }): (...values: Ref[]) => [Ref, Ref[]];
  blockUntilReady<Tree>(values: Tree): Promise<Tree>;
}

/** How rows reach their experts: by index, or by a product with a matrix of zeros and ones. */
type Dispatch = "gather" | "one-hot product";

/** The layer: tokens, router, experts -> outputs. */
function layer({ numpy: np, nn, lax, tree }: Jax, sizes: Task["sizes"], dispatch: Dispatch): Function {
  const { T, D, E, largestLoad: C } = sizes;
  const N = 2 * T;
  return (x, router, first, second) => {
    const logit_TE = np.matmul(x.ref, router);
    const [unused, index_TK] = lax.topK(lax.stopGradient(logit_TE.ref), 2);
    tree.dispose(unused);
    // Under jit the gradient of top-k's values is refused ("scatter input is not imm"), that of a product is not.
    const chosen_TKE = nn.oneHot(index_TK.ref, E);
    const value_TK = chosen_TKE.mul(logit_TE.reshape([T, 1, E])).sum(2);
    const weight_N1 = nn.softmax(value_TK, -1).reshape([N, 1]);
    const expert_N = index_TK.reshape([N]);
    const count_E = nn.oneHot(expert_N.ref, E).sum(0).astype(np.int32);
    const start_E = np.cumsum(count_E.ref).sub(count_E.ref);
    const order_N = np.argsort(expert_N.ref);
    const place_N = np.argsort(order_N.ref);
    // Slot of each assignment, and assignment of each slot: slots past an expert's last row hold whatever is at hand.
    const slot_N = expert_N.ref.mul(C).add(place_N.sub(np.take(start_E.ref, expert_N)));
    const row_EC = start_E.reshape([E, 1]).add(np.arange(C).astype(np.int32).reshape([1, C]));
    const real_EC = np.less(np.arange(C).astype(np.int32).reshape([1, C]), count_E.reshape([E, 1]));
    const real_S1 = real_EC.astype(np.float32).reshape([E * C, 1]);
    let rows_SD: Ref;
    let combine: (rows: Ref) => Ref;
    if (dispatch === "gather") {
      const assignment_S = np.take(order_N, np.minimum(row_EC.reshape([E * C]), N - 1));
      // A shift does not compile on Deno's WebGPU; halves of such numbers are exact, and whole numbers drop the rest.
      const token_S = assignment_S.astype(np.float32).mul(0.5).astype(np.int32);
      rows_SD = np.take(x, token_S, 0).mul(real_S1);
      combine = (rows) => np.take(rows, slot_N, 0);
    } else {
      // [N, S], a one where assignment n has slot s.
      const slot_NS = nn.oneHot(slot_N, E * C);
      const token_TS = slot_NS.ref.reshape([T, 2, E * C]).sum(1);
      rows_SD = np.matmul(token_TS.transpose(), x).mul(real_S1);
      combine = (rows) => np.matmul(slot_NS, rows);
    }
    const units = nn.relu(np.matmul(rows_SD.reshape([E, C, D]), first));
    const out_SD = np.matmul(units, second).reshape([E * C, D]);
    return combine(out_SD).mul(weight_N1).reshape([T, 2, D]).sum(1);
  };
}

/** A reduction of half a million values in one loop comes out wrong on lavapipe, so the mean is taken in two. */
const lossOf = (y: Ref, target: Ref): Ref => {
  const off = y.sub(target);
  return off.ref.mul(off).mean(1).mean();
};

async function prepare(jax: Jax, task: Task): Promise<Prepared> {
  const { numpy: np } = jax;
  const given = (name: string, shape = task.shapes[name]) => np.array(task.floats(name)).reshape(shape);
  const { E, rows, K, N } = task.sizes;
  /** `call` uses its values up and names what comes out. */
  const make = (values: readonly Ref[], call: (...values: Ref[]) => Record<string, Ref>): Prepared => {
    const once = () => call(...values.map((value) => value.ref));
    return {
      async outputs() {
        const found: Record<string, ArrayLike<number>> = {};
        for (const [name, value] of Object.entries(once())) found[name] = await value.data();
        return found;
      },
      async run(count) {
        // Arrays are lazy: what is never waited for may never be computed.
        const found = Array.from({ length: count }, once);
        await jax.blockUntilReady(found);
        jax.tree.dispose(found);
      },
      free: () => jax.tree.dispose([...values]),
    };
  };
  switch (task.name.replace(/-\d+$/, "")) {
    case "matmul": {
      const product = jax.jit((a: Ref, b: Ref) => np.matmul(a, b));
      return make([given("a"), given("b")], (a, b) => ({ y: product(a, b) }));
    }
    case "grouped": {
      const product = jax.jit((x: Ref, w: Ref) => np.matmul(x, w));
      return make([given("x", [E, rows, K]), given("w", [E, K, N])], (x, w) => ({ y: product(x, w) }));
    }
    case "softmax": {
      const softmax = jax.jit((x: Ref) => jax.nn.softmax(x, -1));
      return make([given("x")], (x) => ({ y: softmax(x) }));
    }
    case "moe-forward": {
      const forward = jax.jit(layer(jax, task.sizes, "gather"));
      const values = ["x", "router", "first", "second"].map((name) => given(name));
      return make(values, (...values) => ({ y: forward(...values) }));
    }
    case "moe-gradient":
      return await gradient();
    default:
      throw new Missing("no optimizer comes with @jax-js/jax");
  }

  async function gradient(): Promise<Prepared> {
    const names = ["x", "router", "first", "second", "target"];
    const values = names.map((name) => given(name));
    const failures: string[] = [];
    for (const dispatch of ["gather", "one-hot product"] as const) {
      const forward = layer(jax, task.sizes, dispatch);
      const loss: Function = (x, router, first, second, target) =>
        lossOf(forward(x, router, first, second), target);
      const both = jax.jit(jax.valueAndGrad(loss, { argnums: [0, 1, 2, 3] }));
      const prepared = make(values, (...values) => {
        const [loss, [dx, drouter, dfirst, dsecond]] = both(...values);
        return { loss, dx, drouter, dfirst, dsecond };
      });
      try {
        await prepared.run(1);
        return {
          ...prepared,
          ...(failures.length > 0 ? { note: `${dispatch}, since ${failures.join("; ")}` } : {}),
        };
      } catch (error) {
        failures.push(`${dispatch} fails: ${(error as Error).message.split("\n")[0]}`);
      }
    }
    throw new Missing(failures.join("; "));
  }
}

await serve(async (): Promise<Peer> => {
  const [kind, threads] = Deno.args;
  // Its pool has as many workers as the machine has cores.
  Object.defineProperty(navigator, "hardwareConcurrency", { value: Number(threads) });
  // A variable keeps type checks of the repository from downloading the package.
  const packageName = "@jax-js/jax";
  const jax = await import(packageName) as Jax;
  if (!(await jax.init(kind)).includes(kind)) throw new Missing(`@jax-js/jax finds no device "${kind}" here`);
  jax.defaultDevice(kind);
  return {
    about: `${packages.imports[packageName].replace("npm:", "")} on ${kind}`,
    prepare: (task) => prepare(jax, task),
  };
});
