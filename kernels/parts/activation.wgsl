// Activations of hidden units and their derivatives, by the number of the function in unary/operations.ts.

// x, where it multiplies what is 0 at infinity: the largest number in place of infinity, whose product would be NaN.
fn bounded(x: f32) -> f32 {
  return select(clamp(x, -3.4028234e38, 3.4028234e38), x, isNaN(x));
}

// The same, of negative numbers alone.
fn boundedBelow(x: f32) -> f32 {
  return select(x, -3.4028234e38, x < -3.4028234e38);
}

fn activate(op: i32, x: f32) -> f32 {
  switch op {
    case 0: {
      // Drivers may make max(x, 0) of the first choice, which loses NaN.
      return select(select(x, 0.0, x < 0.0), x, isNaN(x));
    }
    case 1: {
      return boundedBelow(x) * normalCdf(x, bell(x));
    }
    case 2: {
      return boundedBelow(x) * sigmoid(x);
    }
    default: {
      return x;
    }
  }
}

fn slopeAt(op: i32, x: f32) -> f32 {
  switch op {
    case 0: {
      return select(0.0, 1.0, x > 0.0);
    }
    case 1: {
      let density = bell(x);
      return (bounded(x) * density) * 0.3989422804 + normalCdf(x, density);
    }
    case 2: {
      // Both sigmoid(x) and sigmoid(-x) without cancelling.
      let e = exponential(-abs(x));
      let large = 1.0 / (1.0 + e);
      let small = e * large;
      return select(large, small, x < 0.0) * (bounded(x) * select(small, large, x < 0.0) + 1.0);
    }
    default: {
      return 1.0;
    }
  }
}
