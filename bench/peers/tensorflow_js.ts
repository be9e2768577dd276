// TensorFlow.js as a contender. The experts of a token go through the host, since its top-k has no gradient; everything
// else of the layer is differentiated by the library.
import { Missing, type Peer, type Prepared, serve, type Task } from "./contender.ts";

interface Tensor {
  readonly shape: readonly number[];
  mul(other: Tensor): Tensor;
  sub(other: Tensor): Tensor;
  sum(axis?: number): Tensor;
  mean(axis?: number): Tensor;
  square(): Tensor;
  relu(): Tensor;
  softmax(axis?: number): Tensor;
  reshape(shape: readonly number[]): Tensor;
  data(): Promise<Float32Array>;
  dispose(): void;
}

interface Tf {
  readonly version_core: string;
  setBackend(name: string): Promise<boolean>;
  tensor(values: ArrayLike<number>, shape: readonly number[], type?: "float32" | "int32"): Tensor;
  matMul(a: Tensor, b: Tensor): Tensor;
  topk(x: Tensor, k: number): { values: Tensor; indices: Tensor };
  oneHot(index: Tensor, depth: number): Tensor;
  gather(x: Tensor, index: Tensor, axis?: number): Tensor;
  concat(parts: readonly Tensor[], axis: number): Tensor;
  unstack(x: Tensor): Tensor[];
  cast(x: Tensor, type: string): Tensor;
  tidy<T>(of: () => T): T;
  dispose(values: unknown): void;
  valueAndGrads(
    of: (...values: Tensor[]) => Tensor,
  ): (values: Tensor[]) => { value: Tensor; grads: Tensor[] };
}

/** Which rows each expert takes, and where each assignment's row is found again. */
interface Plan {
  /** [T, 2, E]: a one at each choice. */
  readonly chosen: Tensor;
  /** Tokens of each expert; null where it has none. */
  readonly tokens: readonly (Tensor | null)[];
  readonly place: Tensor;
}

async function plan(tf: Tf, task: Task, x: Tensor, router: Tensor): Promise<Plan> {
  const { T, E } = task.sizes;
  const indices = tf.tidy(() => tf.topk(tf.matMul(x, router), 2).indices);
  const index = await indices.data();
  indices.dispose();
  const assignments: number[][] = Array.from({ length: E }, () => []);
  index.forEach((expert, n) => assignments[expert].push(n));
  const place = new Int32Array(2 * T);
  assignments.flat().forEach((n, at) => place[n] = at);
  return {
    chosen: tf.tidy(() => tf.cast(tf.oneHot(tf.tensor(index, [T, 2], "int32"), E), "float32")),
    tokens: assignments.map((all) =>
      all.length === 0 ? null : tf.tensor(Int32Array.from(all, (n) => n >> 1), [all.length], "int32")
    ),
    place: tf.tensor(place, [2 * T], "int32"),
  };
}

function layer(tf: Tf, { T, D, E }: Task["sizes"], { chosen, tokens, place }: Plan) {
  return (x: Tensor, router: Tensor, first: Tensor, second: Tensor): Tensor => {
    const logits = tf.matMul(x, router).reshape([T, 1, E]);
    const weight = chosen.mul(logits).sum(2).softmax(1);
    const [firsts, seconds] = [tf.unstack(first), tf.unstack(second)];
    const rows = tokens.flatMap((index, e) =>
      index ? [tf.matMul(tf.matMul(tf.gather(x, index), firsts[e]).relu(), seconds[e])] : []
    );
    const pairs = tf.gather(tf.concat(rows, 0), place).reshape([T, 2, D]);
    return pairs.mul(weight.reshape([T, 2, 1])).sum(1);
  };
}

function prepare(tf: Tf, task: Task): Prepared {
  const given = (name: string, shape = task.shapes[name]) => tf.tensor(task.floats(name), shape);
  const { E, rows, K, N } = task.sizes;
  const make = (values: readonly Tensor[], call: () => Promise<Record<string, Tensor>>): Prepared => ({
    async outputs() {
      const found: Record<string, ArrayLike<number>> = {};
      for (const [name, value] of Object.entries(await call())) {
        found[name] = await value.data();
        value.dispose();
      }
      return found;
    },
    async run(count) {
      for (let done = 1; done <= count; done++) {
        const found = Object.values(await call());
        // Reading the smallest result waits for everything queued before it.
        const size = ({ shape }: Tensor) => shape.reduce((product, dimension) => product * dimension, 1);
        if (done === count) await found.toSorted((a, b) => size(a) - size(b))[0].data();
        tf.dispose(found);
      }
    },
    free: () => tf.dispose(values),
  });
  const plain = (values: readonly Tensor[], of: () => Tensor) =>
    make(values, () => Promise.resolve({ y: tf.tidy(of) }));
  switch (task.name.replace(/-\d+$/, "")) {
    case "matmul": {
      const [a, b] = [given("a"), given("b")];
      return plain([a, b], () => tf.matMul(a, b));
    }
    case "grouped": {
      const [x, w] = [given("x", [E, rows, K]), given("w", [E, K, N])];
      return plain([x, w], () => tf.matMul(x, w));
    }
    case "softmax": {
      const x = given("x");
      return plain([x], () => x.softmax());
    }
    case "moe-forward":
    case "moe-gradient": {
      const inputs = ["x", "router", "first", "second"].map((name) => given(name));
      const target = given("target");
      return make([...inputs, target], async () => {
        const found = await plan(tf, task, inputs[0], inputs[1]);
        const forward = layer(tf, task.sizes, found);
        const [x, router, first, second] = inputs;
        try {
          if (task.name === "moe-forward") return { y: tf.tidy(() => forward(x, router, first, second)) };
          // In two sums: one of half a million values comes out wrong on lavapipe.
          const loss = (...values: Tensor[]) =>
            forward(...values as [Tensor, Tensor, Tensor, Tensor]).sub(target).square().mean(1).mean();
          const { value, grads: [dx, drouter, dfirst, dsecond] } = tf.tidy(() =>
            tf.valueAndGrads(loss)(inputs)
          );
          return { loss: value, dx, drouter, dfirst, dsecond };
        } finally {
          tf.dispose([found.chosen, found.place, ...found.tokens.filter((tokens) => tokens !== null)]);
        }
      });
    }
    default:
      throw new Missing("TensorFlow.js has Adam but no AdamW");
  }
}

await serve(async (): Promise<Peer> => {
  const [kind] = Deno.args;
  // Variables keep type checks of the repository from downloading the packages.
  const [core, backend] = ["@tensorflow/tfjs", `@tensorflow/tfjs-backend-${kind}`];
  const tf = await import(core) as Tf;
  await import(backend);
  if (!await tf.setBackend(kind)) throw new Missing(`TensorFlow.js cannot start its backend "${kind}" here`);
  const threads = kind === "wasm" ? " (one thread: it takes Deno for Node.js, where it has no more)" : "";
  return {
    about: `${core} ${tf.version_core} on ${kind}${threads}`,
    prepare: (task) => Promise.resolve(prepare(tf, task)),
  };
});
