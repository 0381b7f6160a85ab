// GRU: the twin of ../../rnn_from_scratch/cells/gru.py, where the equations are. The interface is told in
// simple_rnn.h. Reset after: one phase. Reset before: phase 0 makes z, r and the operand m = r * h_prev,
// phase 1 makes n and h.

template <class Phi, class Sigma, bool RESET_AFTER>
struct GRU {
    static constexpr int GATES = 3, STATES = 1, SAVED = RESET_AFTER ? 4 : 3, EXTRAS = 0;
    static constexpr int PHASES = RESET_AFTER ? 1 : 2;
    static constexpr bool SHARED = !RESET_AFTER;
    template <int K> static constexpr int FIRST = K == 0 ? 0 : 2;
    template <int K> static constexpr int COUNT = RESET_AFTER ? 3 : (K == 0 ? 2 : 1);

    template <int K, class V>
    static RNN_FN V operand(const V* saved, const V* s_prev) {
        return saved[1] * s_prev[0];
    }

    template <int K, class V>
    static RNN_FN void forward(const V* xg, const V* hg, const V* s_prev, V* saved, const V*, V* s) {
        V h_prev = s_prev[0];
        if constexpr (RESET_AFTER) {
            V z = Sigma::f(xg[0] + hg[0]), r = Sigma::f(xg[1] + hg[1]), q = hg[2];
            V n = Phi::f(xg[2] + r * q);
            s[0] = z * h_prev + (1 - z) * n;
            saved[0] = z, saved[1] = r, saved[2] = n, saved[3] = q;
        } else if constexpr (K == 0) {
            V z = Sigma::f(xg[0] + hg[0]), r = Sigma::f(xg[1] + hg[1]);
            saved[0] = z, saved[1] = r;
            s[0] = operand<0>(saved, s_prev);
        } else {
            V z = saved[0], n = Phi::f(xg[0] + hg[0]);
            s[0] = z * h_prev + (1 - z) * n;
            saved[2] = n;
        }
    }

    template <int K, class V>
    static RNN_FN void backward(const V* d, const V* saved, const V* s_prev, const V*, const V*,
                                V* dxg, V* dhg, V* ds_prev, V*) {
        V z = saved[0], r = saved[1], n = saved[2];
        V h_prev = s_prev[0], dh = d[0];
        V daz = dh * (h_prev - n) * Sigma::derivative(z);  // h = z * h_prev + (1 - z) * n
        V dan = dh * (1 - z) * Phi::derivative(n);         // h = z * h_prev + (1 - z) * n, n = phi(an)
        if constexpr (RESET_AFTER) {
            V q = saved[3];
            V dar = dan * q * Sigma::derivative(r);  // an = xn + r * q
            V dq = dan * r;                     // an = xn + r * q
            dxg[0] = daz, dxg[1] = dar, dxg[2] = dan;
            dhg[0] = daz, dhg[1] = dar, dhg[2] = dq;
            ds_prev[0] = dh * z;
        } else if constexpr (K == 1) {
            dxg[0] = dan;
            ds_prev[0] = dh * z;
        } else {
            V dm = d[1];
            V dar = dm * h_prev * Sigma::derivative(r);  // m = r * h_prev
            dxg[0] = daz, dxg[1] = dar;
            ds_prev[0] = dm * r;
        }
    }
};
