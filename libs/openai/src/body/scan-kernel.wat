;; Reads one JSON text over bytes, strictly, sixteen at a time where a string is long. Memory and results are laid out with scan-kernel.ts.
;; Assembled by scripts/build-kernel.mjs into scan-kernel-binary.ts; a spec refuses a binary that is not this text.
;;
;; Memory: 0 the class of each byte; 256 what a call found; 512 the member records; 4096 the body, then 80 bytes of which the first is 0.
;; That 0 ends every run: no JSON has one outside of an escape. What lies behind it may be anything, so its high bits may count as met.
;; A place is an address; functions that read on from a place answer the place behind what they read, or -1 with $fault and $place set.
(module
  (import "layout" "memory" (memory 1))

  ;; Classes: 1 blank, 2 hexadecimal digit, 4 may follow a backslash (but for u), 8 decimal digit.
  (data (i32.const 9) "\01\01")
  (data (i32.const 13) "\01")
  (data (i32.const 32) "\01")
  (data (i32.const 34) "\04")
  (data (i32.const 47) "\04\0a\0a\0a\0a\0a\0a\0a\0a\0a\0a")
  (data (i32.const 65) "\02\02\02\02\02\02")
  (data (i32.const 92) "\04")
  (data (i32.const 97) "\02\06\02\02\02\06")
  (data (i32.const 110) "\04")
  (data (i32.const 114) "\04")
  (data (i32.const 116) "\04")

  (global $place (mut i32) (i32.const 0))   ;; of a fault
  (global $high (mut i32) (i32.const 0))    ;; nonzero: a byte of 128 or more was met
  (global $escapes (mut i32) (i32.const 0)) ;; of all strings until now

  ;; Faults: 1 a byte that cannot stand here, 2 a bare control character in a string, 3 a bad escape, 4 too deep.
  (func $refuse (param $fault i32) (param $place i32) (result i32)
    (i32.store (i32.const 256) (local.get $fault))
    (global.set $place (local.get $place))
    (i32.const -1))

  (func $is (param $p i32) (param $class i32) (result i32)
    (i32.and (i32.load8_u (i32.load8_u (local.get $p))) (local.get $class)))

  (func $blanks (param $p i32) (result i32)
    (block $done
      (loop $more
        (br_if $done (i32.eqz (call $is (local.get $p) (i32.const 1))))
        (local.set $p (i32.add (local.get $p) (i32.const 1)))
        (br $more)))
    (local.get $p))

  ;; Lanes that end a run: `"` and what is below a blank (both at most 0x20 once bit 1 is turned), and the backslash.
  (func $stops (param $v v128) (result v128)
    (v128.or
      (i8x16.le_u
        (v128.xor (local.get $v) (v128.const i8x16 2 2 2 2 2 2 2 2 2 2 2 2 2 2 2 2))
        (v128.const i8x16 32 32 32 32 32 32 32 32 32 32 32 32 32 32 32 32))
      (i8x16.eq (local.get $v) (v128.const i8x16 92 92 92 92 92 92 92 92 92 92 92 92 92 92 92 92))))

  ;; A string from behind its opening quote. Passing several escapes by the bits of one load was tried: no faster on code, and prose took
  ;; twice as long.
  (func $string (param $p i32) (result i32)
    (local $v v128) (local $seen v128) (local $stop v128) (local $c i32)
    (local $w v128) (local $x v128) (local $y v128)
    (loop $run
      (local.set $v (v128.load (local.get $p)))
      (local.set $stop (call $stops (local.get $v)))
      (local.set $seen (v128.or (local.get $seen) (local.get $v)))
      (if (i32.eqz (v128.any_true (local.get $stop)))
        (then
          (local.set $p (i32.add (local.get $p) (i32.const 16)))
          ;; Where one run was long the next may be: 64 bytes for one branch.
          (loop $long
            (local.set $v (v128.load (local.get $p)))
            (local.set $w (v128.load offset=16 (local.get $p)))
            (local.set $x (v128.load offset=32 (local.get $p)))
            (local.set $y (v128.load offset=48 (local.get $p)))
            (if (i32.eqz (v128.any_true (v128.or
                  (v128.or (call $stops (local.get $v)) (call $stops (local.get $w)))
                  (v128.or (call $stops (local.get $x)) (call $stops (local.get $y))))))
              (then
                (local.set $seen (v128.or (local.get $seen) (v128.or
                  (v128.or (local.get $v) (local.get $w))
                  (v128.or (local.get $x) (local.get $y)))))
                (local.set $p (i32.add (local.get $p) (i32.const 64)))
                (br $long))))
          (br $run)))
      (local.set $p (i32.add (local.get $p) (i32.ctz (i8x16.bitmask (local.get $stop)))))
      (local.set $c (i32.load8_u (local.get $p)))
      (if (i32.eq (local.get $c) (i32.const 0x22))
        (then
          (global.set $high (i32.or (global.get $high) (i8x16.bitmask (local.get $seen))))
          (return (i32.add (local.get $p) (i32.const 1)))))
      (if (i32.ne (local.get $c) (i32.const 0x5c)) (then (return (call $refuse (i32.const 2) (local.get $p)))))
      (global.set $escapes (i32.add (global.get $escapes) (i32.const 1)))
      (if (call $is (i32.add (local.get $p) (i32.const 1)) (i32.const 4))
        (then
          (local.set $p (i32.add (local.get $p) (i32.const 2)))
          (br $run)))
      (if (i32.eq (i32.load8_u offset=1 (local.get $p)) (i32.const 0x75))
        (then
          (if (i32.and
                (i32.and
                  (call $is (i32.add (local.get $p) (i32.const 2)) (i32.const 2))
                  (call $is (i32.add (local.get $p) (i32.const 3)) (i32.const 2)))
                (i32.and
                  (call $is (i32.add (local.get $p) (i32.const 4)) (i32.const 2))
                  (call $is (i32.add (local.get $p) (i32.const 5)) (i32.const 2))))
            (then
              (local.set $p (i32.add (local.get $p) (i32.const 6)))
              (br $run))))))
    (call $refuse (i32.const 3) (local.get $p)))

  ;; At least one decimal digit.
  (func $digits (param $p i32) (result i32)
    (if (i32.eqz (call $is (local.get $p) (i32.const 8))) (then (return (call $refuse (i32.const 1) (local.get $p)))))
    (loop $more
      (local.set $p (i32.add (local.get $p) (i32.const 1)))
      (br_if $more (call $is (local.get $p) (i32.const 8))))
    (local.get $p))

  (func $number (param $p i32) (result i32)
    (if (i32.eq (i32.load8_u (local.get $p)) (i32.const 0x2d)) (then (local.set $p (i32.add (local.get $p) (i32.const 1)))))
    ;; A leading 0 stands alone.
    (if (i32.eq (i32.load8_u (local.get $p)) (i32.const 0x30))
      (then (local.set $p (i32.add (local.get $p) (i32.const 1))))
      (else
        (local.set $p (call $digits (local.get $p)))
        (if (i32.lt_s (local.get $p) (i32.const 0)) (then (return (local.get $p))))))
    (if (i32.eq (i32.load8_u (local.get $p)) (i32.const 0x2e))
      (then
        (local.set $p (call $digits (i32.add (local.get $p) (i32.const 1))))
        (if (i32.lt_s (local.get $p) (i32.const 0)) (then (return (local.get $p))))))
    (if (i32.eq (i32.or (i32.load8_u (local.get $p)) (i32.const 0x20)) (i32.const 0x65))
      (then
        (local.set $p (i32.add (local.get $p) (i32.const 1)))
        (if (i32.or
              (i32.eq (i32.load8_u (local.get $p)) (i32.const 0x2b))
              (i32.eq (i32.load8_u (local.get $p)) (i32.const 0x2d)))
          (then (local.set $p (i32.add (local.get $p) (i32.const 1)))))
        (local.set $p (call $digits (local.get $p)))))
    (local.get $p))

  ;; true, false, null or a number.
  (func $scalar (param $p i32) (result i32)
    (local $four i32)
    (local.set $four (i32.load align=1 (local.get $p)))
    (if (i32.or (i32.eq (local.get $four) (i32.const 0x65757274)) (i32.eq (local.get $four) (i32.const 0x6c6c756e)))
      (then (return (i32.add (local.get $p) (i32.const 4)))))
    (if (i32.and (i32.eq (local.get $four) (i32.const 0x736c6166)) (i32.eq (i32.load8_u offset=4 (local.get $p)) (i32.const 0x65)))
      (then (return (i32.add (local.get $p) (i32.const 5)))))
    (call $number (local.get $p)))

  ;; A name with its colon.
  (func $name (param $p i32) (result i32)
    (if (i32.ne (i32.load8_u (local.get $p)) (i32.const 0x22)) (then (return (call $refuse (i32.const 1) (local.get $p)))))
    (local.set $p (call $string (i32.add (local.get $p) (i32.const 1))))
    (if (i32.lt_s (local.get $p) (i32.const 0)) (then (return (local.get $p))))
    (local.set $p (call $blanks (local.get $p)))
    (if (i32.ne (i32.load8_u (local.get $p)) (i32.const 0x3a)) (then (return (call $refuse (i32.const 1) (local.get $p)))))
    (i32.add (local.get $p) (i32.const 1)))

  ;; A value with all that is in it. Which brackets are open is a bit each in $objects: no stack, and nesting costs nothing.
  (func $value (param $p i32) (result i32)
    (local $c i32) (local $depth i32) (local $objects i64)
    (loop $value
      (local.set $p (call $blanks (local.get $p)))
      (local.set $c (i32.load8_u (local.get $p)))
      (block $read
        (if (i32.eq (local.get $c) (i32.const 0x22))
          (then
            (local.set $p (call $string (i32.add (local.get $p) (i32.const 1))))
            (br_if $read (i32.ge_s (local.get $p) (i32.const 0)))
            (return (local.get $p))))
        ;; `{` or `[`: bit 5 tells them apart.
        (if (i32.eq (i32.or (local.get $c) (i32.const 0x20)) (i32.const 0x7b))
          (then
            ;; The body's own brace is the 64th.
            (if (i32.eq (local.get $depth) (i32.const 63)) (then (return (call $refuse (i32.const 4) (local.get $p)))))
            (local.set $depth (i32.add (local.get $depth) (i32.const 1)))
            (local.set $objects (i64.or
              (i64.shl (local.get $objects) (i64.const 1))
              (i64.extend_i32_u (i32.and (i32.shr_u (local.get $c) (i32.const 5)) (i32.const 1)))))
            (local.set $p (call $blanks (i32.add (local.get $p) (i32.const 1))))
            ;; `}` and `]` are two above their openers.
            (if (i32.eq (i32.load8_u (local.get $p)) (i32.add (local.get $c) (i32.const 2)))
              (then
                (local.set $p (i32.add (local.get $p) (i32.const 1)))
                (local.set $depth (i32.sub (local.get $depth) (i32.const 1)))
                (local.set $objects (i64.shr_u (local.get $objects) (i64.const 1)))
                (br $read)))
            (br_if $value (i32.eq (local.get $c) (i32.const 0x5b)))
            (local.set $p (call $name (local.get $p)))
            (br_if $value (i32.ge_s (local.get $p) (i32.const 0)))
            (return (local.get $p))))
        (local.set $p (call $scalar (local.get $p)))
        (if (i32.lt_s (local.get $p) (i32.const 0)) (then (return (local.get $p)))))
      (loop $read
        (if (i32.eqz (local.get $depth)) (then (return (local.get $p))))
        (local.set $p (call $blanks (local.get $p)))
        (local.set $c (i32.load8_u (local.get $p)))
        (if (i32.eq (local.get $c) (i32.const 0x2c))
          (then
            (local.set $p (i32.add (local.get $p) (i32.const 1)))
            (br_if $value (i64.eqz (i64.and (local.get $objects) (i64.const 1))))
            (local.set $p (call $name (call $blanks (local.get $p))))
            (br_if $value (i32.ge_s (local.get $p) (i32.const 0)))
            (return (local.get $p))))
        (if (i32.eq
              (local.get $c)
              (select (i32.const 0x7d) (i32.const 0x5d) (i32.wrap_i64 (i64.and (local.get $objects) (i64.const 1)))))
          (then
            (local.set $p (i32.add (local.get $p) (i32.const 1)))
            (local.set $depth (i32.sub (local.get $depth) (i32.const 1)))
            (local.set $objects (i64.shr_u (local.get $objects) (i64.const 1)))
            (br $read)))))
    (call $refuse (i32.const 1) (local.get $p)))

  ;; The members of the object at the top, from its brace (at the body's start) or, when the records were full, from where the last call
  ;; stopped. Answers the number of records written, -1 for a fault. At 256: i32 fault, i32 its place, i32 the place to go on from or 0 when
  ;; the body has ended, i32 nonzero when a byte of 128 or more was met. A record is five i32: name from (its quote), name to (behind its
  ;; quote), value from, value to, nonzero when the name has an escape.
  (func (export "members") (param $p i32) (param $end i32) (param $begun i32) (result i32)
    (local $count i32) (local $record i32) (local $escapes i32) (local $c i32)
    (local.set $record (i32.const 512))
    (block $bad
      (if (i32.eqz (local.get $begun))
        (then
          (i64.store align=1 (local.get $end) (i64.const 0))
          (global.set $high (i32.const 0))
          (local.set $p (call $blanks (local.get $p)))
          (if (i32.ne (i32.load8_u (local.get $p)) (i32.const 0x7b)) (then (drop (call $refuse (i32.const 1) (local.get $p))) (br $bad)))
          (local.set $p (call $blanks (i32.add (local.get $p) (i32.const 1))))))
      (block $closed
        (if (i32.eqz (local.get $begun))
          (then (br_if $closed (i32.eq (i32.load8_u (local.get $p)) (i32.const 0x7d)))))
        (loop $member
          (if (i32.eq (local.get $count) (i32.const 64))
            (then
              (i32.store (i32.const 264) (local.get $p))
              (return (local.get $count))))
          (local.set $escapes (global.get $escapes))
          (i32.store (local.get $record) (local.get $p))
          (if (i32.ne (i32.load8_u (local.get $p)) (i32.const 0x22)) (then (drop (call $refuse (i32.const 1) (local.get $p))) (br $bad)))
          (local.set $p (call $string (i32.add (local.get $p) (i32.const 1))))
          (br_if $bad (i32.lt_s (local.get $p) (i32.const 0)))
          (i32.store offset=4 (local.get $record) (local.get $p))
          (i32.store offset=16 (local.get $record) (i32.ne (global.get $escapes) (local.get $escapes)))
          (local.set $p (call $blanks (local.get $p)))
          (if (i32.ne (i32.load8_u (local.get $p)) (i32.const 0x3a)) (then (drop (call $refuse (i32.const 1) (local.get $p))) (br $bad)))
          (local.set $p (call $blanks (i32.add (local.get $p) (i32.const 1))))
          (i32.store offset=8 (local.get $record) (local.get $p))
          (local.set $p (call $value (local.get $p)))
          (br_if $bad (i32.lt_s (local.get $p) (i32.const 0)))
          (i32.store offset=12 (local.get $record) (local.get $p))
          (local.set $count (i32.add (local.get $count) (i32.const 1)))
          (local.set $record (i32.add (local.get $record) (i32.const 20)))
          (local.set $p (call $blanks (local.get $p)))
          (local.set $c (i32.load8_u (local.get $p)))
          (if (i32.eq (local.get $c) (i32.const 0x2c))
            (then
              (local.set $p (call $blanks (i32.add (local.get $p) (i32.const 1))))
              (br $member))))
        (if (i32.ne (local.get $c) (i32.const 0x7d)) (then (drop (call $refuse (i32.const 1) (local.get $p))) (br $bad))))
      (local.set $p (call $blanks (i32.add (local.get $p) (i32.const 1))))
      (if (i32.ne (local.get $p) (local.get $end)) (then (drop (call $refuse (i32.const 1) (local.get $p))) (br $bad)))
      (i32.store (i32.const 264) (i32.const 0))
      (i32.store (i32.const 268) (global.get $high))
      (return (local.get $count)))
    (i32.store (i32.const 260) (global.get $place))
    (i32.const -1))
)
