;; Arithmetic over one row of logits, four at a time. Assembled by scripts/build-kernel.mjs into kernel-binary.ts.
;;
;; A row is a multiple of 16 floats; what is behind the vocabulary is -infinity. Results are left at address 0 as f64.
;; exp: x = k ln 2 + r with |r| <= ln 2 / 2; adding 1.5 x 2^23 rounds x / ln 2 to k and leaves k in the low bits, which shifted by 23 are the
;; exponent of 2^k. e^r is the polynomial of degree 5 that has the least relative error on that range, 7.5e-8 (Remez' exchange on Chebyshev
;; nodes); ln 2 in one piece costs another 3e-8 |x|, which is nothing where e^x itself is. Arguments are at most 0 and are held at -87, where
;; e^x is 1.6e-38: 2^20 such terms add less than 2e-32, and the product x e^x stays finite for a logit of -infinity.
;; Sums run in f32 over 1,024 values and are folded into f64: the error of a row stays below 1e-6 whatever its length.
(module
  (memory (export "memory") 1)

  (func $exp (param $x v128) (result v128)
    (local $t v128) (local $r v128) (local $p v128)
    (local.set $x (f32x4.pmax (local.get $x) (v128.const f32x4 -87 -87 -87 -87)))
    (local.set $t (f32x4.relaxed_madd (local.get $x) (v128.const f32x4 1.4426950409 1.4426950409 1.4426950409 1.4426950409) (v128.const f32x4 12582912 12582912 12582912 12582912)))
    (local.set $r (f32x4.relaxed_nmadd (f32x4.sub (local.get $t) (v128.const f32x4 12582912 12582912 12582912 12582912)) (v128.const f32x4 0.6931471806 0.6931471806 0.6931471806 0.6931471806) (local.get $x)))
    (local.set $p (f32x4.relaxed_madd (v128.const f32x4 0.0082975803 0.0082975803 0.0082975803 0.0082975803) (local.get $r) (v128.const f32x4 0.0419158749 0.0419158749 0.0419158749 0.0419158749)))
    (local.set $p (f32x4.relaxed_madd (local.get $p) (local.get $r) (v128.const f32x4 0.1666757911 0.1666757911 0.1666757911 0.1666757911)))
    (local.set $p (f32x4.relaxed_madd (local.get $p) (local.get $r) (v128.const f32x4 0.4999889135 0.4999889135 0.4999889135 0.4999889135)))
    (local.set $p (f32x4.relaxed_madd (local.get $p) (local.get $r) (v128.const f32x4 0.9999997020 0.9999997020 0.9999997020 0.9999997020)))
    (local.set $p (f32x4.relaxed_madd (local.get $p) (local.get $r) (v128.const f32x4 1.0000001192 1.0000001192 1.0000001192 1.0000001192)))
    (f32x4.mul (local.get $p) (i32x4.add (i32x4.shl (local.get $t) (i32.const 23)) (v128.const i32x4 0x3f800000 0x3f800000 0x3f800000 0x3f800000))))

  ;; The four lanes of v added up in f64.
  (func $fold (param $v v128) (result f64)
    (f64.add
      (f64.add (f64.promote_f32 (f32x4.extract_lane 0 (local.get $v))) (f64.promote_f32 (f32x4.extract_lane 1 (local.get $v))))
      (f64.add (f64.promote_f32 (f32x4.extract_lane 2 (local.get $v))) (f64.promote_f32 (f32x4.extract_lane 3 (local.get $v))))))

  ;; Per lane the largest value (at 0, 16 bytes) and the second largest (at 16): 4 + 4 floats for the caller to merge. NaN wins everywhere.
  (func (export "peaks") (param $row i32) (param $n i32)
    (local $end i32) (local $x v128) (local $y v128)
    (local $a1 v128) (local $a2 v128) (local $b1 v128) (local $b2 v128)
    (local.set $end (i32.add (local.get $row) (i32.shl (local.get $n) (i32.const 2))))
    (local.set $a1 (v128.const f32x4 -inf -inf -inf -inf)) (local.set $a2 (local.get $a1))
    (local.set $b1 (local.get $a1)) (local.set $b2 (local.get $a1))
    (loop $next
      (local.set $x (v128.load (local.get $row)))
      (local.set $a2 (f32x4.max (local.get $a2) (f32x4.min (local.get $a1) (local.get $x))))
      (local.set $a1 (f32x4.max (local.get $a1) (local.get $x)))
      (local.set $y (v128.load offset=16 (local.get $row)))
      (local.set $b2 (f32x4.max (local.get $b2) (f32x4.min (local.get $b1) (local.get $y))))
      (local.set $b1 (f32x4.max (local.get $b1) (local.get $y)))
      (local.set $row (i32.add (local.get $row) (i32.const 32)))
      (br_if $next (i32.lt_u (local.get $row) (local.get $end))))
    (v128.store (i32.const 16) (f32x4.max (f32x4.min (local.get $a1) (local.get $b1)) (f32x4.max (local.get $a2) (local.get $b2))))
    (v128.store (i32.const 0) (f32x4.max (local.get $a1) (local.get $b1))))

  ;; Index of the first value equal to $value, or -1.
  (func (export "find") (param $row i32) (param $n i32) (param $value f32) (result i32)
    (local $at i32) (local $hits i32) (local $v v128)
    (local.set $v (f32x4.splat (local.get $value)))
    (loop $next
      (local.set $hits (i32x4.bitmask (f32x4.eq (v128.load (i32.add (local.get $row) (i32.shl (local.get $at) (i32.const 2)))) (local.get $v))))
      (if (local.get $hits) (then (return (i32.add (local.get $at) (i32.ctz (local.get $hits))))))
      (local.set $at (i32.add (local.get $at) (i32.const 4)))
      (br_if $next (i32.lt_u (local.get $at) (local.get $n))))
    (i32.const -1))

  ;; At 0: sum of e^d, at 8: sum of d e^d, with d = value - max. Four vectors that lie wholly below max - 30 are passed over: a million such
  ;; tokens together have less than 1e-7 of the mass and add less than 3e-6 nats to the entropy.
  (func (export "mass") (param $row i32) (param $n i32) (param $max f32)
    (local $end i32) (local $block i32) (local $m v128) (local $d v128) (local $e v128)
    (local $d1 v128) (local $d2 v128) (local $d3 v128)
    (local $s v128) (local $t v128) (local $s1 v128) (local $t1 v128) (local $sum f64) (local $weighted f64)
    (local.set $m (f32x4.splat (local.get $max)))
    (local.set $end (i32.add (local.get $row) (i32.shl (local.get $n) (i32.const 2))))
    (loop $blocks
      (local.set $block (i32.add (local.get $row) (i32.const 4096)))
      (if (i32.gt_u (local.get $block) (local.get $end)) (then (local.set $block (local.get $end))))
      (local.set $s (v128.const f32x4 0 0 0 0)) (local.set $t (local.get $s)) (local.set $s1 (local.get $s)) (local.set $t1 (local.get $s))
      (loop $next
        (local.set $d (f32x4.sub (v128.load (local.get $row)) (local.get $m)))
        (local.set $d1 (f32x4.sub (v128.load offset=16 (local.get $row)) (local.get $m)))
        (local.set $d2 (f32x4.sub (v128.load offset=32 (local.get $row)) (local.get $m)))
        (local.set $d3 (f32x4.sub (v128.load offset=48 (local.get $row)) (local.get $m)))
        (if (v128.any_true (f32x4.gt
              (f32x4.pmax (f32x4.pmax (local.get $d) (local.get $d1)) (f32x4.pmax (local.get $d2) (local.get $d3)))
              (v128.const f32x4 -30 -30 -30 -30)))
          (then
            ;; held at -87 here as well: a banned token's -infinity times its 0 would be NaN
            (local.set $d (f32x4.pmax (local.get $d) (v128.const f32x4 -87 -87 -87 -87)))
            (local.set $e (call $exp (local.get $d)))
            (local.set $s (f32x4.add (local.get $s) (local.get $e)))
            (local.set $t (f32x4.relaxed_madd (local.get $e) (local.get $d) (local.get $t)))
            (local.set $d1 (f32x4.pmax (local.get $d1) (v128.const f32x4 -87 -87 -87 -87)))
            (local.set $e (call $exp (local.get $d1)))
            (local.set $s1 (f32x4.add (local.get $s1) (local.get $e)))
            (local.set $t1 (f32x4.relaxed_madd (local.get $e) (local.get $d1) (local.get $t1)))
            (local.set $d2 (f32x4.pmax (local.get $d2) (v128.const f32x4 -87 -87 -87 -87)))
            (local.set $e (call $exp (local.get $d2)))
            (local.set $s (f32x4.add (local.get $s) (local.get $e)))
            (local.set $t (f32x4.relaxed_madd (local.get $e) (local.get $d2) (local.get $t)))
            (local.set $d3 (f32x4.pmax (local.get $d3) (v128.const f32x4 -87 -87 -87 -87)))
            (local.set $e (call $exp (local.get $d3)))
            (local.set $s1 (f32x4.add (local.get $s1) (local.get $e)))
            (local.set $t1 (f32x4.relaxed_madd (local.get $e) (local.get $d3) (local.get $t1)))))
        (local.set $row (i32.add (local.get $row) (i32.const 64)))
        (br_if $next (i32.lt_u (local.get $row) (local.get $block))))
      (local.set $sum (f64.add (local.get $sum) (f64.add (call $fold (local.get $s)) (call $fold (local.get $s1)))))
      (local.set $weighted (f64.add (local.get $weighted) (f64.add (call $fold (local.get $t)) (call $fold (local.get $t1)))))
      (br_if $blocks (i32.lt_u (local.get $row) (local.get $end))))
    (f64.store (i32.const 0) (local.get $sum))
    (f64.store (i32.const 8) (local.get $weighted)))

  ;; At 0: sum of e^(value - max) over values >= $least, at 8: their number.
  (func (export "above") (param $row i32) (param $n i32) (param $max f32) (param $least f32)
    (local $end i32) (local $block i32) (local $m v128) (local $l v128) (local $x v128) (local $in v128)
    (local $s v128) (local $c v128) (local $sum f64) (local $count i32)
    (local.set $m (f32x4.splat (local.get $max)))
    (local.set $l (f32x4.splat (local.get $least)))
    (local.set $end (i32.add (local.get $row) (i32.shl (local.get $n) (i32.const 2))))
    (loop $blocks
      (local.set $block (i32.add (local.get $row) (i32.const 4096)))
      (if (i32.gt_u (local.get $block) (local.get $end)) (then (local.set $block (local.get $end))))
      (local.set $s (v128.const f32x4 0 0 0 0))
      (local.set $c (v128.const i32x4 0 0 0 0))
      (loop $next
        (local.set $x (v128.load (local.get $row)))
        (local.set $in (f32x4.ge (local.get $x) (local.get $l)))
        (if (v128.any_true (local.get $in))
          (then
            (local.set $c (i32x4.sub (local.get $c) (local.get $in)))
            (local.set $s (f32x4.add (local.get $s) (v128.and (local.get $in) (call $exp (f32x4.sub (local.get $x) (local.get $m))))))))
        (local.set $row (i32.add (local.get $row) (i32.const 16)))
        (br_if $next (i32.lt_u (local.get $row) (local.get $block))))
      (local.set $sum (f64.add (local.get $sum) (call $fold (local.get $s))))
      (local.set $count (i32.add (local.get $count) (i32.add
        (i32.add (i32x4.extract_lane 0 (local.get $c)) (i32x4.extract_lane 1 (local.get $c)))
        (i32.add (i32x4.extract_lane 2 (local.get $c)) (i32x4.extract_lane 3 (local.get $c))))))
      (br_if $blocks (i32.lt_u (local.get $row) (local.get $end))))
    (f64.store (i32.const 0) (local.get $sum))
    (f64.store (i32.const 8) (f64.convert_i32_u (local.get $count))))

  ;; Number of values > $value.
  (func (export "rank") (param $row i32) (param $n i32) (param $value f32) (result i32)
    (local $end i32) (local $v v128) (local $c v128)
    (local.set $v (f32x4.splat (local.get $value)))
    (local.set $end (i32.add (local.get $row) (i32.shl (local.get $n) (i32.const 2))))
    (loop $next
      (local.set $c (i32x4.sub (local.get $c) (f32x4.gt (v128.load (local.get $row)) (local.get $v))))
      (local.set $c (i32x4.sub (local.get $c) (f32x4.gt (v128.load offset=16 (local.get $row)) (local.get $v))))
      (local.set $row (i32.add (local.get $row) (i32.const 32)))
      (br_if $next (i32.lt_u (local.get $row) (local.get $end))))
    (i32.add
      (i32.add (i32x4.extract_lane 0 (local.get $c)) (i32x4.extract_lane 1 (local.get $c)))
      (i32.add (i32x4.extract_lane 2 (local.get $c)) (i32x4.extract_lane 3 (local.get $c)))))

  ;; Writes the indexes of values >= $least and < $below to $ids, ascending, at most $most; answers how many there are in all.
  (func (export "collect") (param $row i32) (param $n i32) (param $least f32) (param $below f32) (param $ids i32) (param $most i32) (result i32)
    (local $at i32) (local $hits i32) (local $count i32) (local $l v128) (local $b v128) (local $x v128)
    (local.set $l (f32x4.splat (local.get $least)))
    (local.set $b (f32x4.splat (local.get $below)))
    (loop $next
      (local.set $x (v128.load (i32.add (local.get $row) (i32.shl (local.get $at) (i32.const 2)))))
      (local.set $hits (i32x4.bitmask (v128.and (f32x4.ge (local.get $x) (local.get $l)) (f32x4.lt (local.get $x) (local.get $b)))))
      (block $none
        (br_if $none (i32.eqz (local.get $hits)))
        (loop $bits
          (if (i32.lt_u (local.get $count) (local.get $most))
            (then (i32.store (i32.add (local.get $ids) (i32.shl (local.get $count) (i32.const 2)))
              (i32.add (local.get $at) (i32.ctz (local.get $hits))))))
          (local.set $count (i32.add (local.get $count) (i32.const 1)))
          (local.set $hits (i32.and (local.get $hits) (i32.sub (local.get $hits) (i32.const 1))))
          (br_if $bits (local.get $hits))))
      (local.set $at (i32.add (local.get $at) (i32.const 4)))
      (br_if $next (i32.lt_u (local.get $at) (local.get $n))))
    (local.get $count))

  ;; For each block of 256 values the sum of e^((value - max) $scale) over values >= $least, as f64 at $out.
  (func (export "blocks") (param $row i32) (param $n i32) (param $max f32) (param $scale f32) (param $least f32) (param $out i32)
    (local $end i32) (local $block i32) (local $m v128) (local $f v128) (local $l v128) (local $x v128) (local $in v128) (local $s v128)
    (local.set $m (f32x4.splat (local.get $max)))
    (local.set $f (f32x4.splat (local.get $scale)))
    (local.set $l (f32x4.splat (local.get $least)))
    (local.set $end (i32.add (local.get $row) (i32.shl (local.get $n) (i32.const 2))))
    (loop $blocks
      (local.set $block (i32.add (local.get $row) (i32.const 1024)))
      (if (i32.gt_u (local.get $block) (local.get $end)) (then (local.set $block (local.get $end))))
      (local.set $s (v128.const f32x4 0 0 0 0))
      (loop $next
        (local.set $x (v128.load (local.get $row)))
        (local.set $in (f32x4.ge (local.get $x) (local.get $l)))
        (if (v128.any_true (local.get $in))
          (then (local.set $s (f32x4.add (local.get $s)
            (v128.and (local.get $in) (call $exp (f32x4.mul (f32x4.sub (local.get $x) (local.get $m)) (local.get $f))))))))
        (local.set $row (i32.add (local.get $row) (i32.const 16)))
        (br_if $next (i32.lt_u (local.get $row) (local.get $block))))
      (f64.store (local.get $out) (call $fold (local.get $s)))
      (local.set $out (i32.add (local.get $out) (i32.const 8)))
      (br_if $blocks (i32.lt_u (local.get $row) (local.get $end)))))

  ;; Sum of p (ln p - ln q) with ln p at $reference and ln q = value - $lnZ. Terms with p below e^-87 are nothing.
  (func (export "divergence") (param $reference i32) (param $row i32) (param $n i32) (param $lnZ f32) (result f64)
    (local $end i32) (local $block i32) (local $z v128) (local $p v128) (local $s v128) (local $sum f64)
    (local.set $z (f32x4.splat (local.get $lnZ)))
    (local.set $end (i32.add (local.get $row) (i32.shl (local.get $n) (i32.const 2))))
    (loop $blocks
      (local.set $block (i32.add (local.get $row) (i32.const 4096)))
      (if (i32.gt_u (local.get $block) (local.get $end)) (then (local.set $block (local.get $end))))
      (local.set $s (v128.const f32x4 0 0 0 0))
      (loop $next
        (local.set $p (v128.load (local.get $reference)))
        (local.set $s (f32x4.add (local.get $s) (v128.and
          (f32x4.gt (local.get $p) (v128.const f32x4 -87 -87 -87 -87))
          (f32x4.mul (call $exp (local.get $p))
            (f32x4.sub (local.get $p) (f32x4.sub (v128.load (local.get $row)) (local.get $z)))))))
        (local.set $reference (i32.add (local.get $reference) (i32.const 16)))
        (local.set $row (i32.add (local.get $row) (i32.const 16)))
        (br_if $next (i32.lt_u (local.get $row) (local.get $block))))
      (local.set $sum (f64.add (local.get $sum) (call $fold (local.get $s))))
      (br_if $blocks (i32.lt_u (local.get $row) (local.get $end))))
    (local.get $sum)))
