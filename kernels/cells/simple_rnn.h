// SimpleRNN: the twin of ../../rnn_from_scratch/cells/simple_rnn.py, where the equations are. Start here.
//
// A cell is a struct of static members:
//
//     GATES, STATES, SAVED, EXTRAS, PHASES     counts, as in the Python cell; SHARED: see there
//     FIRST<K>, COUNT<K>                       the gates of phase K. With several phases, saved[a] is gate a
//     forward<K>(xg, hg, s_prev, saved, p, s)
//         xg, hg: the COUNT<K> gates of phase K; s_prev, s: STATES values; saved: all SAVED values, those of
//         phase K are written; p: EXTRAS values. s is the operand of the next product in all phases but the
//         last
//     backward<K>(d, saved, s_prev, s, p, dxg, dhg, ds_prev, dp)
//         called for the last phase first; d: STATES values, then (in every phase but the last) the gradient
//         of the operand; dhg is written only if not SHARED; ds_prev: STATES values, dp: EXTRAS values, 0
//         where nothing flows back elementwise; the parts of several phases are added up by the driver
//     operand<K>(saved, s_prev)
//         only with several phases: what the product after phase K takes, from gates of phase K and s_prev
//
// The limits: at most 6 gates, 4 states, 6 saved values, 4 extras, 3 phases. With several phases there are as
// many saved values as gates, and the two sides are shared. If not, they differ in the last gate only.

template <class Phi>
struct SimpleRNN {
    static constexpr int GATES = 1, STATES = 1, SAVED = 0, EXTRAS = 0, PHASES = 1;
    static constexpr bool SHARED = true;
    template <int K> static constexpr int FIRST = 0;
    template <int K> static constexpr int COUNT = 1;

    template <int K, class V>
    static RNN_FN void forward(const V* xg, const V* hg, const V*, V*, const V*, V* s) {
        V a = xg[0] + hg[0];
        V h = Phi::f(a);
        s[0] = h;
    }

    template <int K, class V>
    static RNN_FN void backward(const V* d, const V*, const V*, const V* s, const V*,
                                V* dxg, V*, V* ds_prev, V*) {
        V dh = d[0], h = s[0];
        V da = dh * Phi::derivative(h);  // h = phi(a)
        dxg[0] = da;
        ds_prev[0] = V{};
    }
};
