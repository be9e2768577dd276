// Who is kept where an expert has room for some of a batch's tokens, as standard operators: an assignment's rank is how many
// before it want the same expert, a running sum, and the room is looked up by the number of tokens that come. A scope that is
// less than the batch, and an order that is not that of places, have no such form.
import type { Lowering, Rule } from "./lowering.ts";
import type { Traced } from "./trace.ts";

/** Most tokens that an exported model with a capacity takes at once: the length of the table of capacities. */
export const MOST_TOKENS = 65_536;

const INT32 = { to: { int: 6 } };
const INT64 = { to: { int: 7 } };

/** @throws through `refuse` where it is not all choices of all tokens that share a capacity. */
function refuseScope(key: Traced, scope: unknown, on: Lowering): void {
  if (key.type.shape[0] !== on.tokens) {
    on.refuse(
      "its experts choose among the tokens of a batch, and an exported model decides for each token alone",
    );
  }
  if (Number(scope) >= on.tokens) return;
  on.refuse("it counts capacity in groups of a batch's tokens, and an exported model knows no groups");
}

/** How many assignments before each one want its expert; of one that wants none, any number. */
export const rankInGroup: Rule = ({ inputs: [key, priority], params }, find, on) => {
  const { graph } = on;
  refuseScope(key, params.scope, on);
  if (priority) {
    on.refuse('it keeps assignments in another order than that of places; choose dropOrder "position"');
  }
  const K = key.type.shape[1];
  const turn = (x: string) =>
    params.choiceMajor && K > 1 ? graph.node("Transpose", [x], { perm: { ints: [1, 0] } }) : x;
  const column_N1 = graph.node("Reshape", [turn(find(key)), graph.wholes([-1, 1])]);
  const groups = Float64Array.from({ length: Number(params.groups) }, (_, group) => group);
  const isOf_NE = graph.node("Cast", [graph.node("Equal", [column_N1, graph.wholes(groups)])], INT32);
  const before_NE = graph.node("CumSum", [isOf_NE, graph.wholes([0], [])], { exclusive: { int: 1 } });
  const own_NE = graph.node("Mul", [isOf_NE, before_NE]);
  const rank_N = graph.node("ReduceSum", [own_NE, graph.wholes([1])], { keepdims: { int: 0 } });
  const shape = params.choiceMajor && K > 1 ? [K, -1] : [-1, K];
  return [turn(graph.node("Reshape", [graph.node("Cast", [rank_N], INT64), graph.wholes(shape)]))];
};

/** The key where its rank is below the room that so many tokens make, else -1. */
export const keepRanked: Rule = ({ inputs: [key, rank], params }, find, on) => {
  const { graph } = on;
  refuseScope(key, params.scope, on);
  const { mostOf } = params as { readonly mostOf?: (tokens: number) => number };
  if (!mostOf) return on.refuse("how many assignments its experts keep depends on what tokens hold");
  const room = Float64Array.from(
    { length: MOST_TOKENS + 1 },
    (_, tokens) => tokens === 0 ? 0 : mostOf(tokens),
  );
  const most = graph.node("Gather", [graph.wholes(room), on.tokenCount()]);
  return [graph.node("Where", [graph.node("Less", [find(rank), most]), find(key), graph.wholes([-1])])];
};
