package score

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestExpectedEntropy(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, tt := range []struct{ n, k int }{{8, 62}, {16, 36}, {20, 62}, {32, 16}, {40, 16}, {56, 32}, {64, 16}, {128, 64}} {
		sum := 0.0
		const rounds = 3000
		for range rounds {
			v := make([]byte, tt.n)
			for i := range v {
				v[i] = byte(rng.IntN(tt.k))
			}
			sum += Shannon(v)
		}
		if got, want := meanEntropy(tt.n, float64(tt.k)), sum/rounds; math.Abs(got-want) > 0.03 {
			t.Errorf("%d of %d: got %.3f, want %.3f", tt.n, tt.k, got, want)
		}
	}
}
