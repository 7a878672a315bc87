// A drawing: strokes of a pen, painted at any size.

/** A place on the drawing area, 0–1 from the left and from the top. */
export interface Point {
  readonly x: number;
  readonly y: number;
}

/** Colours of paper and pen. */
export interface Colouring {
  readonly paper: string;
  readonly pen: string;
}

/** Width of the pen as a fraction of the side. */
const PEN_WIDTH = 0.065;

/** Strokes, of which the last may still grow. */
export class Drawing {
  private readonly strokes: Point[][] = [];

  get isEmpty(): boolean {
    return this.strokes.length === 0;
  }

  /** Put the pen down. */
  begin(point: Point): void {
    this.strokes.push([point]);
  }

  /** Draw on to a point. */
  extend(point: Point): void {
    this.strokes.at(-1)?.push(point);
  }

  /** Take the last stroke back. */
  undo(): void {
    this.strokes.pop();
  }

  clear(): void {
    this.strokes.length = 0;
  }

  /** Paint paper and strokes on a square of this side, pixels. */
  paint(context: CanvasRenderingContext2D, side: number, colours: Colouring): void {
    context.fillStyle = colours.paper;
    context.fillRect(0, 0, side, side);
    context.strokeStyle = colours.pen;
    context.lineWidth = PEN_WIDTH * side;
    context.lineCap = context.lineJoin = "round";
    for (const stroke of this.strokes) {
      context.beginPath();
      context.moveTo(stroke[0].x * side, stroke[0].y * side);
      // A smooth curve through the middles; a lone point is a dot.
      for (let i = 1; i < stroke.length - 1; i++) {
        const [at, next] = [stroke[i], stroke[i + 1]];
        const middle = { x: ((at.x + next.x) / 2) * side, y: ((at.y + next.y) / 2) * side };
        context.quadraticCurveTo(at.x * side, at.y * side, middle.x, middle.y);
      }
      const last = stroke[stroke.length - 1];
      context.lineTo(last.x * side, last.y * side);
      context.stroke();
    }
  }
}
