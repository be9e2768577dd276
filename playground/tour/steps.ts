// The steps of the guided tour: each is a state of the page, and what to do and to look for there.

/** A step. */
export interface TourStep {
  readonly title: string;
  /** The state of the page, as an address has it behind #. */
  readonly address: string;
  /** Paragraphs. */
  readonly text: readonly string[];
}

/** A small language model with four experts, in which Switch's router has given options. */
const language = (options: string) => `task=language&size=tiny&train.steps=60&${options}`;

/** With a capacity factor of 4 each of four experts has room for all tokens. */
const roomForAll = (place: "router" | "beside") =>
  `${place}.capacityFactor=4&${place}.evaluationCapacityFactor=4`;

/** The steps, in order. @param skeleton Program of a router to begin with. */
export function tourSteps(skeleton: string): readonly TourStep[] {
  return [
    {
      title: "What routing is",
      address: "train.steps=400",
      text: [
        "A mixture of experts is a layer with several small networks, the experts. A router picks one or a few of " +
        "them for each token, so the model has many weights and computes with few. Here inputs come from eight " +
        "topics, each with a rule of its own, and there are eight experts. The router is not told the topic.",
        "Press Train and watch “Where tokens go”. At first the tokens of a topic (a column) are spread over the " +
        "experts (rows); after a few hundred steps most topics have one expert, and the loss is far below that of " +
        "chance. Two topics that share an expert share its weights.",
      ],
    },
    {
      title: "Collapse",
      address: language(`router.balance=0&${roomForAll("router")}`),
      text: [
        "An expert that gets more tokens learns faster, and the router then prefers it more: routing can collapse. " +
        "This model of English has four experts, and nothing that keeps their load even.",
        "Press Train and watch “Load by expert and step”: within sixty steps one or two experts take nearly " +
        "everything. The others learn nothing more, so most of the model is wasted.",
      ],
    },
    {
      title: "The balance loss",
      address: language(`router.balance=0&${roomForAll("router")}&beside=switch&${roomForAll("beside")}`),
      text: [
        "Switch adds a loss to the model's own: the share of tokens an expert gets times its mean probability, " +
        "summed over experts, times the number of experts and a weight. It is least when the load is even.",
        "Press Train: the first run has weight 0, as before, the second 0.01, as in the paper. Compare the two " +
        "loads, and the numbers in the table. Then change “balance” to 0.1 or 0.001: both runs start anew.",
      ],
    },
    {
      title: "Capacity and drops",
      address: language(
        "router.capacityFactor=0.5&router.evaluationCapacityFactor=0.5&beside=switch&beside.capacityFactor=2",
      ),
      text: [
        "Hardware wants room of a fixed size for each expert: its capacity, which is the capacity factor times an " +
        "even share of the tokens. A token whose expert is full is dropped: it skips the layer and goes on as it was.",
        "Press Train: the first run has factor 0.5, so at least half of all tokens are dropped; the second 2. " +
        "Compare “Assignments dropped”, and the words of the sentence that are struck through. A larger factor costs " +
        "memory and computation for room that stays empty.",
      ],
    },
    {
      title: "Top-1 against top-2",
      address: "train.steps=400&beside=gshard",
      text: [
        "Switch sends a token to one expert, GShard to two. At equal cost GShard here has sixteen experts of half " +
        "the width, so both have as many weights and compute as much for a token.",
        "Press Train and compare the losses. Sixteen experts make 120 pairs to choose from, and GShard weighs the two " +
        "of a pair against each other. On several devices top-2 costs more: twice as many rows travel between them.",
      ],
    },
    {
      title: "Your own router",
      address: ownAddress(skeleton),
      text: [
        "The editor below holds a whole router of a few lines: scores, the best expert of each token, and its " +
        "probability as weight. It does not run before you press Train or “Use this router”.",
        "Press Train: it learns beside Switch, on the same data and seed. Then change the program, for example how it " +
        "scores, and press Train again. The address of the page holds your program, so you can send it to others.",
      ],
    },
  ];
}

function ownAddress(source: string): string {
  const words = new URLSearchParams({ size: "tiny", router: "my-router", beside: "switch", own: source });
  return words.toString();
}
