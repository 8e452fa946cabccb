;; Everything that reads a whole row of logits: four lanes at a time over memory shared with kernel.ts, which holds the layout.
;; Assembled by scripts/build-kernel.mjs into kernel-binary.ts; its spec refuses a binary that is not this text.
;;
;; A row is `blocks` blocks of 64 logits, padded with -Infinity. `maxima` has the largest logit of each block: passes that look for large
;; logits skip the blocks below them. `sums` has a block's weights in double precision: a draw walks the sums, then one block.
(module
  (import "layout" "memory" (memory 1))
  (import "layout" "blocks" (global $blocks i32)) ;; number of blocks
  (import "layout" "row" (global $row i32))       ;; f32 per token
  (import "layout" "maxima" (global $maxima i32)) ;; f32 per block
  (import "layout" "sums" (global $sums i32))     ;; f64 per block
  (import "layout" "ids" (global $ids i32))       ;; i32 per token: what `collect` found
  (import "layout" "other" (global $other i32))   ;; f32 per token: log probabilities, own or of another version

  ;; Results at fixed addresses: 0 f32 largest, 4 f32 second largest, 8 i32 token of the largest, 12 i32 nonzero = a NaN was met,
  ;; 16 f64 sum of e^x, 24 f64 sum of x e^x. At 256: 64 f32 weights of the block that `pick` walks.

  ;; e^x, four lanes, for -87 <= x <= 0 (callers clamp; below -87 the exponent would leave its field). x = n ln 2 + r with |r| <= ln 2 / 2:
  ;; 1.5 x 2^23 added to x / ln 2 leaves n in the low bits of the sum; 2^n is an addition to the exponent. e^r is 1 + r + r^2 q(r), q of
  ;; degree 4 minimax in relative error (Remez exchange with the first two coefficients held at 1, so that e^0 is exactly 1): 3.1e-9.
  ;; One-step reduction: ln 2 rounded to single is off by 1.9e-9, times |n| <= 126 is 2.4e-7, and 8e-8 for the x > -30 that matter.
  ;; Rounding adds 1e-7. Together below 3e-7 relative where madd is fused; where it is not, rounding n ln 2 adds up to 2e-6 at x = -30.
  ;;
  ;; The constants are parameters because V8 builds a v128.const anew wherever it stands: set before a loop, in locals, they took 40% off it.
  (func $exp
    (param $x v128) (param $invLn2 v128) (param $shift v128) (param $minusLn2 v128)
    (param $c6 v128) (param $c5 v128) (param $c4 v128) (param $c3 v128) (param $c2 v128) (param $one v128) (result v128)
    (local $shifted v128) (local $r v128)
    (local.set $shifted (f32x4.relaxed_madd (local.get $x) (local.get $invLn2) (local.get $shift)))
    (local.set $r (f32x4.relaxed_madd (f32x4.sub (local.get $shifted) (local.get $shift)) (local.get $minusLn2) (local.get $x)))
    (i32x4.add
      (i32x4.shl (local.get $shifted) (i32.const 23))
      (f32x4.relaxed_madd (local.get $r)
        (f32x4.relaxed_madd (local.get $r)
          (f32x4.relaxed_madd (local.get $r)
            (f32x4.relaxed_madd (local.get $r)
              (f32x4.relaxed_madd (local.get $r)
                (f32x4.relaxed_madd (local.get $r) (local.get $c6) (local.get $c5))
                (local.get $c4))
              (local.get $c3))
            (local.get $c2))
          (local.get $one))
        (local.get $one))))

  ;; Four single lanes to two double lanes: lane 0 + lane 2, lane 1 + lane 3.
  (func $widen (param $v v128) (result v128)
    (f64x2.add
      (f64x2.promote_low_f32x4 (local.get $v))
      (f64x2.promote_low_f32x4 (i8x16.shuffle 8 9 10 11 12 13 14 15 0 1 2 3 4 5 6 7 (local.get $v) (local.get $v)))))

  ;; Pass one: block maxima, the two largest logits, the token of the largest (the lowest of equals), NaN.
  ;; A NaN never wins a pseudo-maximum whose first operand is a number, so the maxima are those of the numbers.
  (func (export "scan")
    (local $at i32) (local $end i32) (local $last i32) (local $maximum i32) (local $bestAt i32)
    (local $v v128) (local $first v128) (local $second v128) (local $rowFirst v128) (local $rowSecond v128) (local $nan v128)
    (local $none v128) (local $peak f32) (local $best f32)
    (local.set $none (v128.const f32x4 -inf -inf -inf -inf))
    (local.set $at (global.get $row))
    (local.set $bestAt (global.get $row))
    (local.set $maximum (global.get $maxima))
    (local.set $last (i32.add (global.get $row) (i32.shl (global.get $blocks) (i32.const 8))))
    (local.set $best (f32.const -inf))
    (local.set $rowFirst (local.get $none))
    (local.set $rowSecond (local.get $none))
    (loop $block
      (local.set $end (i32.add (local.get $at) (i32.const 256)))
      (local.set $first (local.get $none))
      (local.set $second (local.get $none))
      (loop $vector
        (local.set $v (v128.load (local.get $at)))
        (local.set $second (f32x4.pmax (local.get $second) (f32x4.pmin (local.get $first) (local.get $v))))
        (local.set $first (f32x4.pmax (local.get $first) (local.get $v)))
        (local.set $nan (v128.or (local.get $nan) (f32x4.ne (local.get $v) (local.get $v))))
        (local.set $at (i32.add (local.get $at) (i32.const 16)))
        (br_if $vector (i32.lt_u (local.get $at) (local.get $end))))
      (local.set $rowSecond (f32x4.pmax
        (f32x4.pmax (local.get $rowSecond) (local.get $second))
        (f32x4.pmin (local.get $rowFirst) (local.get $first))))
      (local.set $rowFirst (f32x4.pmax (local.get $rowFirst) (local.get $first)))
      (local.set $first (f32x4.pmax (local.get $first)
        (i8x16.shuffle 8 9 10 11 12 13 14 15 0 1 2 3 4 5 6 7 (local.get $first) (local.get $first))))
      (local.set $first (f32x4.pmax (local.get $first)
        (i8x16.shuffle 4 5 6 7 0 1 2 3 12 13 14 15 8 9 10 11 (local.get $first) (local.get $first))))
      (local.set $peak (f32x4.extract_lane 0 (local.get $first)))
      (f32.store (local.get $maximum) (local.get $peak))
      (local.set $maximum (i32.add (local.get $maximum) (i32.const 4)))
      (if (f32.gt (local.get $peak) (local.get $best)) (then
        (local.set $best (local.get $peak))
        (local.set $bestAt (i32.sub (local.get $at) (i32.const 256)))))
      (br_if $block (i32.lt_u (local.get $at) (local.get $last))))
    ;; The two largest of the lanes: halves against each other, then neighbours.
    (local.set $first (i8x16.shuffle 8 9 10 11 12 13 14 15 0 1 2 3 4 5 6 7 (local.get $rowFirst) (local.get $rowFirst)))
    (local.set $second (i8x16.shuffle 8 9 10 11 12 13 14 15 0 1 2 3 4 5 6 7 (local.get $rowSecond) (local.get $rowSecond)))
    (local.set $rowSecond (f32x4.pmax
      (f32x4.pmax (local.get $rowSecond) (local.get $second))
      (f32x4.pmin (local.get $rowFirst) (local.get $first))))
    (local.set $rowFirst (f32x4.pmax (local.get $rowFirst) (local.get $first)))
    (local.set $first (i8x16.shuffle 4 5 6 7 0 1 2 3 12 13 14 15 8 9 10 11 (local.get $rowFirst) (local.get $rowFirst)))
    (local.set $second (i8x16.shuffle 4 5 6 7 0 1 2 3 12 13 14 15 8 9 10 11 (local.get $rowSecond) (local.get $rowSecond)))
    (local.set $rowSecond (f32x4.pmax
      (f32x4.pmax (local.get $rowSecond) (local.get $second))
      (f32x4.pmin (local.get $rowFirst) (local.get $first))))
    ;; Some logit of the best block is the best, unless the row has no number above -Infinity.
    (if (f32.gt (local.get $best) (f32.const -inf)) (then
      (loop $seek
        (if (f32.ne (f32.load (local.get $bestAt)) (local.get $best)) (then
          (local.set $bestAt (i32.add (local.get $bestAt) (i32.const 4)))
          (br $seek))))))
    (f32.store (i32.const 0) (local.get $best))
    (f32.store (i32.const 4) (f32x4.extract_lane 0 (local.get $rowSecond)))
    (i32.store (i32.const 8) (i32.shr_u (i32.sub (local.get $bestAt) (global.get $row)) (i32.const 2)))
    (i32.store (i32.const 12) (v128.any_true (local.get $nan))))

  ;; Pass two, after `scan`: sums of e^x and x e^x with x = logit - largest. Single precision within a block (16 terms a lane), double over
  ;; blocks. A block below largest - 30 is skipped: each of its terms is under e^-30 = 9.4e-14 of a sum that is at least 1, so that all of a
  ;; million tokens together would move the entropy by less than 3e-6 nats. x is clamped for $exp; a banned token then adds 87 x 1.6e-38.
  (func (export "sum")
    (local $at i32) (local $end i32) (local $last i32) (local $maximum i32) (local $sum i32)
    (local $max f32) (local $top v128) (local $x v128) (local $e v128) (local $s v128) (local $w v128)
    (local $total v128) (local $weighted v128) (local $s64 v128)
    (local $invLn2 v128) (local $shift v128) (local $minusLn2 v128) (local $low v128)
    (local $c6 v128) (local $c5 v128) (local $c4 v128) (local $c3 v128) (local $c2 v128) (local $one v128)
    (local.set $invLn2 (v128.const f32x4 1.44269504 1.44269504 1.44269504 1.44269504))
    (local.set $shift (v128.const f32x4 12582912 12582912 12582912 12582912))
    (local.set $minusLn2 (v128.const f32x4 -0.693147181 -0.693147181 -0.693147181 -0.693147181))
    (local.set $c6 (v128.const f32x4 0.00138145986 0.00138145986 0.00138145986 0.00138145986))
    (local.set $c5 (v128.const f32x4 0.00836871688 0.00836871688 0.00836871688 0.00836871688))
    (local.set $c4 (v128.const f32x4 0.0416683880 0.0416683880 0.0416683880 0.0416683880))
    (local.set $c3 (v128.const f32x4 0.166665206 0.166665206 0.166665206 0.166665206))
    (local.set $c2 (v128.const f32x4 0.499999934 0.499999934 0.499999934 0.499999934))
    (local.set $one (v128.const f32x4 1 1 1 1))
    (local.set $low (v128.const f32x4 -87 -87 -87 -87))
    (local.set $max (f32.load (i32.const 0)))
    (local.set $top (f32x4.splat (local.get $max)))
    (local.set $at (global.get $row))
    (local.set $maximum (global.get $maxima))
    (local.set $sum (global.get $sums))
    (local.set $last (i32.add (global.get $row) (i32.shl (global.get $blocks) (i32.const 8))))
    (loop $block
      (local.set $end (i32.add (local.get $at) (i32.const 256)))
      (local.set $s64 (v128.const i64x2 0 0))
      (if (f32.lt (f32.sub (f32.load (local.get $maximum)) (local.get $max)) (f32.const -30))
        (then (local.set $at (local.get $end)))
        (else
          (local.set $s (v128.const i64x2 0 0))
          (local.set $w (v128.const i64x2 0 0))
          (loop $vector
            (local.set $x (f32x4.pmax (f32x4.sub (v128.load (local.get $at)) (local.get $top)) (local.get $low)))
            (local.set $e (call $exp (local.get $x) (local.get $invLn2) (local.get $shift) (local.get $minusLn2)
              (local.get $c6) (local.get $c5) (local.get $c4) (local.get $c3) (local.get $c2) (local.get $one)))
            (local.set $s (f32x4.add (local.get $s) (local.get $e)))
            (local.set $w (f32x4.relaxed_madd (local.get $x) (local.get $e) (local.get $w)))
            (local.set $at (i32.add (local.get $at) (i32.const 16)))
            (br_if $vector (i32.lt_u (local.get $at) (local.get $end))))
          (local.set $s64 (call $widen (local.get $s)))
          (local.set $total (f64x2.add (local.get $total) (local.get $s64)))
          (local.set $weighted (f64x2.add (local.get $weighted) (call $widen (local.get $w))))))
      (f64.store (local.get $sum) (f64.add (f64x2.extract_lane 0 (local.get $s64)) (f64x2.extract_lane 1 (local.get $s64))))
      (local.set $sum (i32.add (local.get $sum) (i32.const 8)))
      (local.set $maximum (i32.add (local.get $maximum) (i32.const 4)))
      (br_if $block (i32.lt_u (local.get $at) (local.get $last))))
    (f64.store (i32.const 16) (f64.add (f64x2.extract_lane 0 (local.get $total)) (f64x2.extract_lane 1 (local.get $total))))
    (f64.store (i32.const 24) (f64.add (f64x2.extract_lane 0 (local.get $weighted)) (f64x2.extract_lane 1 (local.get $weighted)))))

  ;; A cut keeps the logits above `floor`, and those equal to it with ids up to `tie`. Banned tokens are left out by a floor that is a number.
  ;; Writes the weights e^((logit - max) inverse) of one block's tokens to 256, 0 for those that are not kept; their sum.
  (func $weighBlock (param $block i32) (param $max f32) (param $inverse f32) (param $floor f32) (param $tie i32) (result f64)
    (local $at i32) (local $weight i32) (local $id v128) (local $v v128) (local $e v128) (local $least v128) (local $sum v128)
    (local $invLn2 v128) (local $shift v128) (local $minusLn2 v128) (local $low v128)
    (local $c6 v128) (local $c5 v128) (local $c4 v128) (local $c3 v128) (local $c2 v128) (local $one v128)
    (local.set $invLn2 (v128.const f32x4 1.44269504 1.44269504 1.44269504 1.44269504))
    (local.set $shift (v128.const f32x4 12582912 12582912 12582912 12582912))
    (local.set $minusLn2 (v128.const f32x4 -0.693147181 -0.693147181 -0.693147181 -0.693147181))
    (local.set $c6 (v128.const f32x4 0.00138145986 0.00138145986 0.00138145986 0.00138145986))
    (local.set $c5 (v128.const f32x4 0.00836871688 0.00836871688 0.00836871688 0.00836871688))
    (local.set $c4 (v128.const f32x4 0.0416683880 0.0416683880 0.0416683880 0.0416683880))
    (local.set $c3 (v128.const f32x4 0.166665206 0.166665206 0.166665206 0.166665206))
    (local.set $c2 (v128.const f32x4 0.499999934 0.499999934 0.499999934 0.499999934))
    (local.set $one (v128.const f32x4 1 1 1 1))
    (local.set $low (v128.const f32x4 -87 -87 -87 -87))
    (local.set $least (f32x4.splat (local.get $floor)))
    (local.set $at (i32.add (global.get $row) (i32.shl (local.get $block) (i32.const 8))))
    (local.set $id (i32x4.add (i32x4.splat (i32.shl (local.get $block) (i32.const 6))) (v128.const i32x4 0 1 2 3)))
    (local.set $weight (i32.const 256))
    (loop $vector
      (local.set $v (v128.load (local.get $at)))
      (local.set $e (v128.and
        (v128.or
          (f32x4.gt (local.get $v) (local.get $least))
          (v128.and (f32x4.eq (local.get $v) (local.get $least)) (i32x4.le_s (local.get $id) (i32x4.splat (local.get $tie)))))
        (call $exp
          (f32x4.pmax
            (f32x4.mul (f32x4.sub (local.get $v) (f32x4.splat (local.get $max))) (f32x4.splat (local.get $inverse)))
            (local.get $low))
          (local.get $invLn2) (local.get $shift) (local.get $minusLn2)
          (local.get $c6) (local.get $c5) (local.get $c4) (local.get $c3) (local.get $c2) (local.get $one))))
      (v128.store (local.get $weight) (local.get $e))
      (local.set $sum (f64x2.add (local.get $sum) (call $widen (local.get $e))))
      (local.set $id (i32x4.add (local.get $id) (v128.const i32x4 4 4 4 4)))
      (local.set $at (i32.add (local.get $at) (i32.const 16)))
      (local.set $weight (i32.add (local.get $weight) (i32.const 16)))
      (br_if $vector (i32.lt_u (local.get $weight) (i32.const 512))))
    (f64.add (f64x2.extract_lane 0 (local.get $sum)) (f64x2.extract_lane 1 (local.get $sum))))

  ;; Total weight of what a cut keeps, and `sums` of its blocks. Everywhere but in the block of `tie` a cut is one comparison: with `floor`
  ;; before it, with `above`, the next number, after it. Skips blocks below the cut and, as `sum` does, weights under e^-30.
  (func (export "weigh") (param $max f32) (param $inverse f32) (param $floor f32) (param $above f32) (param $tie i32) (result f64)
    (local $at i32) (local $end i32) (local $block i32) (local $maximum f32) (local $weight f64) (local $total f64)
    (local $v v128) (local $least v128) (local $top v128) (local $times v128) (local $s v128)
    (local $invLn2 v128) (local $shift v128) (local $minusLn2 v128) (local $low v128)
    (local $c6 v128) (local $c5 v128) (local $c4 v128) (local $c3 v128) (local $c2 v128) (local $one v128)
    (local.set $invLn2 (v128.const f32x4 1.44269504 1.44269504 1.44269504 1.44269504))
    (local.set $shift (v128.const f32x4 12582912 12582912 12582912 12582912))
    (local.set $minusLn2 (v128.const f32x4 -0.693147181 -0.693147181 -0.693147181 -0.693147181))
    (local.set $c6 (v128.const f32x4 0.00138145986 0.00138145986 0.00138145986 0.00138145986))
    (local.set $c5 (v128.const f32x4 0.00836871688 0.00836871688 0.00836871688 0.00836871688))
    (local.set $c4 (v128.const f32x4 0.0416683880 0.0416683880 0.0416683880 0.0416683880))
    (local.set $c3 (v128.const f32x4 0.166665206 0.166665206 0.166665206 0.166665206))
    (local.set $c2 (v128.const f32x4 0.499999934 0.499999934 0.499999934 0.499999934))
    (local.set $one (v128.const f32x4 1 1 1 1))
    (local.set $low (v128.const f32x4 -87 -87 -87 -87))
    (local.set $top (f32x4.splat (local.get $max)))
    (local.set $times (f32x4.splat (local.get $inverse)))
    (local.set $at (global.get $row))
    (loop $next
      (local.set $maximum (f32.load (i32.add (global.get $maxima) (i32.shl (local.get $block) (i32.const 2)))))
      (local.set $end (i32.add (local.get $at) (i32.const 256)))
      (local.set $weight (f64.const 0))
      (if (i32.eqz (i32.or
            (f32.lt (local.get $maximum) (local.get $floor))
            (f32.lt (f32.mul (f32.sub (local.get $maximum) (local.get $max)) (local.get $inverse)) (f32.const -30))))
        (then
          (if (i32.eq (local.get $block) (i32.shr_s (local.get $tie) (i32.const 6)))
            (then
              (local.set $weight (call $weighBlock
                (local.get $block) (local.get $max) (local.get $inverse) (local.get $floor) (local.get $tie))))
            (else
              (local.set $s (v128.const i64x2 0 0))
              (local.set $least (f32x4.splat (select (local.get $above) (local.get $floor)
                (i32.gt_s (i32.shl (local.get $block) (i32.const 6)) (local.get $tie)))))
              (loop $vector
                (local.set $v (v128.load (local.get $at)))
                (local.set $s (f32x4.add (local.get $s) (v128.and
                  (f32x4.ge (local.get $v) (local.get $least))
                  (call $exp
                    (f32x4.pmax (f32x4.mul (f32x4.sub (local.get $v) (local.get $top)) (local.get $times)) (local.get $low))
                    (local.get $invLn2) (local.get $shift) (local.get $minusLn2)
                    (local.get $c6) (local.get $c5) (local.get $c4) (local.get $c3) (local.get $c2) (local.get $one)))))
                (local.set $at (i32.add (local.get $at) (i32.const 16)))
                (br_if $vector (i32.lt_u (local.get $at) (local.get $end))))
              (local.set $s (call $widen (local.get $s)))
              (local.set $weight (f64.add (f64x2.extract_lane 0 (local.get $s)) (f64x2.extract_lane 1 (local.get $s))))))))
      (f64.store (i32.add (global.get $sums) (i32.shl (local.get $block) (i32.const 3))) (local.get $weight))
      (local.set $total (f64.add (local.get $total) (local.get $weight)))
      (local.set $at (local.get $end))
      (local.set $block (i32.add (local.get $block) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $block) (global.get $blocks))))
    (local.get $total))

  ;; The token of one block at which the running sum of weights passes `fraction` (0 to 1) of the block's weight; -1 if all its weights are 0.
  ;; The block's sum is taken again in double precision: against the one of `weigh`, rounded otherwise, one draw in ten million would
  ;; run past the end.
  (func (export "pick") (param $block i32) (param $fraction f64) (param $max f32) (param $inverse f32) (param $floor f32) (param $tie i32) (result i32)
    (local $at i32) (local $weight f32) (local $left f64) (local $token i32)
    (local.set $left (f64.mul (local.get $fraction) (call $weighBlock
      (local.get $block) (local.get $max) (local.get $inverse) (local.get $floor) (local.get $tie))))
    (local.set $token (i32.const -1))
    (local.set $at (i32.const 256))
    (loop $walk
      (local.set $weight (f32.load (local.get $at)))
      (if (f32.gt (local.get $weight) (f32.const 0)) (then
        (local.set $token (i32.add
          (i32.shl (local.get $block) (i32.const 6))
          (i32.shr_u (i32.sub (local.get $at) (i32.const 256)) (i32.const 2))))
        (local.set $left (f64.sub (local.get $left) (f64.promote_f32 (local.get $weight))))
        (if (f64.lt (local.get $left) (f64.const 0)) (then (return (local.get $token))))))
      (local.set $at (i32.add (local.get $at) (i32.const 4)))
      (br_if $walk (i32.lt_u (local.get $at) (i32.const 512))))
    (local.get $token))

  ;; Number of logits at or above `floor`.
  (func (export "count") (param $floor f32) (result i32)
    (local $at i32) (local $end i32) (local $last i32) (local $maximum i32) (local $least v128) (local $n v128)
    (local.set $least (f32x4.splat (local.get $floor)))
    (local.set $at (global.get $row))
    (local.set $maximum (global.get $maxima))
    (local.set $last (i32.add (global.get $row) (i32.shl (global.get $blocks) (i32.const 8))))
    (loop $block
      (local.set $end (i32.add (local.get $at) (i32.const 256)))
      (if (f32.lt (f32.load (local.get $maximum)) (local.get $floor))
        (then (local.set $at (local.get $end)))
        (else (loop $vector
          ;; A true lane is -1.
          (local.set $n (i32x4.sub (local.get $n) (f32x4.ge (v128.load (local.get $at)) (local.get $least))))
          (local.set $at (i32.add (local.get $at) (i32.const 16)))
          (br_if $vector (i32.lt_u (local.get $at) (local.get $end))))))
      (local.set $maximum (i32.add (local.get $maximum) (i32.const 4)))
      (br_if $block (i32.lt_u (local.get $at) (local.get $last))))
    (i32.add
      (i32.add (i32x4.extract_lane 0 (local.get $n)) (i32x4.extract_lane 1 (local.get $n)))
      (i32.add (i32x4.extract_lane 2 (local.get $n)) (i32x4.extract_lane 3 (local.get $n)))))

  ;; Writes the tokens with low <= logit < high to `ids`, in ascending order; their number.
  (func (export "collect") (param $low f32) (param $high f32) (result i32)
    (local $at i32) (local $end i32) (local $last i32) (local $maximum i32) (local $id i32) (local $bits i32)
    (local $v v128) (local $least v128) (local $ceiling v128)
    (local.set $least (f32x4.splat (local.get $low)))
    (local.set $ceiling (f32x4.splat (local.get $high)))
    (local.set $at (global.get $row))
    (local.set $id (global.get $ids))
    (local.set $maximum (global.get $maxima))
    (local.set $last (i32.add (global.get $row) (i32.shl (global.get $blocks) (i32.const 8))))
    (loop $block
      (local.set $end (i32.add (local.get $at) (i32.const 256)))
      (if (f32.lt (f32.load (local.get $maximum)) (local.get $low))
        (then (local.set $at (local.get $end)))
        (else (loop $vector
          (local.set $v (v128.load (local.get $at)))
          (local.set $bits (i32x4.bitmask (v128.and
            (f32x4.ge (local.get $v) (local.get $least))
            (f32x4.lt (local.get $v) (local.get $ceiling)))))
          (if (local.get $bits) (then (loop $bit
            (i32.store (local.get $id) (i32.add
              (i32.shr_u (i32.sub (local.get $at) (global.get $row)) (i32.const 2))
              (i32.ctz (local.get $bits))))
            (local.set $id (i32.add (local.get $id) (i32.const 4)))
            (local.set $bits (i32.and (local.get $bits) (i32.sub (local.get $bits) (i32.const 1))))
            (br_if $bit (local.get $bits)))))
          (local.set $at (i32.add (local.get $at) (i32.const 16)))
          (br_if $vector (i32.lt_u (local.get $at) (local.get $end))))))
      (local.set $maximum (i32.add (local.get $maximum) (i32.const 4)))
      (br_if $block (i32.lt_u (local.get $at) (local.get $last))))
    (i32.shr_u (i32.sub (local.get $id) (global.get $ids)) (i32.const 2)))

  ;; Log probabilities into `other`: (logit - max) - lnSum, in this order because the first difference of neighbours is exact.
  (func (export "normalise") (param $max f32) (param $lnSum f32)
    (local $offset i32) (local $last i32) (local $top v128) (local $ln v128)
    (local.set $top (f32x4.splat (local.get $max)))
    (local.set $ln (f32x4.splat (local.get $lnSum)))
    (local.set $last (i32.shl (global.get $blocks) (i32.const 8)))
    (loop $vector
      (v128.store (i32.add (global.get $other) (local.get $offset)) (f32x4.sub
        (f32x4.sub (v128.load (i32.add (global.get $row) (local.get $offset))) (local.get $top))
        (local.get $ln)))
      (local.set $offset (i32.add (local.get $offset) (i32.const 16)))
      (br_if $vector (i32.lt_u (local.get $offset) (local.get $last)))))

  ;; Sum of e^r (r - own) over the reference log probabilities r in `other`; own as in `normalise`. Below r = -87 a token counts as impossible.
  (func (export "diverge") (param $max f32) (param $lnSum f32) (result f64)
    (local $offset i32) (local $end i32) (local $last i32) (local $r v128) (local $s v128) (local $total v128) (local $top v128) (local $ln v128)
    (local $invLn2 v128) (local $shift v128) (local $minusLn2 v128) (local $low v128)
    (local $c6 v128) (local $c5 v128) (local $c4 v128) (local $c3 v128) (local $c2 v128) (local $one v128)
    (local.set $invLn2 (v128.const f32x4 1.44269504 1.44269504 1.44269504 1.44269504))
    (local.set $shift (v128.const f32x4 12582912 12582912 12582912 12582912))
    (local.set $minusLn2 (v128.const f32x4 -0.693147181 -0.693147181 -0.693147181 -0.693147181))
    (local.set $c6 (v128.const f32x4 0.00138145986 0.00138145986 0.00138145986 0.00138145986))
    (local.set $c5 (v128.const f32x4 0.00836871688 0.00836871688 0.00836871688 0.00836871688))
    (local.set $c4 (v128.const f32x4 0.0416683880 0.0416683880 0.0416683880 0.0416683880))
    (local.set $c3 (v128.const f32x4 0.166665206 0.166665206 0.166665206 0.166665206))
    (local.set $c2 (v128.const f32x4 0.499999934 0.499999934 0.499999934 0.499999934))
    (local.set $one (v128.const f32x4 1 1 1 1))
    (local.set $low (v128.const f32x4 -87 -87 -87 -87))
    (local.set $top (f32x4.splat (local.get $max)))
    (local.set $ln (f32x4.splat (local.get $lnSum)))
    (local.set $last (i32.shl (global.get $blocks) (i32.const 8)))
    (loop $block
      (local.set $end (i32.add (local.get $offset) (i32.const 256)))
      (local.set $s (v128.const i64x2 0 0))
      (loop $vector
        (local.set $r (v128.load (i32.add (global.get $other) (local.get $offset))))
        (local.set $s (f32x4.add (local.get $s) (v128.andnot
          (f32x4.mul
            (call $exp (f32x4.pmax (local.get $r) (local.get $low)) (local.get $invLn2) (local.get $shift) (local.get $minusLn2)
              (local.get $c6) (local.get $c5) (local.get $c4) (local.get $c3) (local.get $c2) (local.get $one))
            (f32x4.sub (local.get $r)
              (f32x4.sub (f32x4.sub (v128.load (i32.add (global.get $row) (local.get $offset))) (local.get $top)) (local.get $ln))))
          ;; Not "and r > -87": a NaN must come through.
          (f32x4.le (local.get $r) (local.get $low)))))
        (local.set $offset (i32.add (local.get $offset) (i32.const 16)))
        (br_if $vector (i32.lt_u (local.get $offset) (local.get $end))))
      (local.set $total (f64x2.add (local.get $total) (call $widen (local.get $s))))
      (br_if $block (i32.lt_u (local.get $offset) (local.get $last))))
    (f64.add (f64x2.extract_lane 0 (local.get $total)) (f64x2.extract_lane 1 (local.get $total)))))
