// LSTM with peepholes: the twin of ../../rnn_from_scratch/cells/peephole_lstm.py, where the equations are.
// The interface is told in simple_rnn.h.

template <class Phi, class Sigma>
struct PeepholeLSTM {
    static constexpr int GATES = 4, STATES = 2, SAVED = 4, EXTRAS = 3, PHASES = 1;
    static constexpr bool SHARED = true;
    template <int K> static constexpr int FIRST = 0;
    template <int K> static constexpr int COUNT = 4;

    template <int K, class V>
    static RNN_FN void forward(const V* xg, const V* hg, const V* s_prev, V* saved, const V* p, V* s) {
        V c_prev = s_prev[1];
        V p_i = p[0], p_f = p[1], p_o = p[2];
        V ai = xg[0] + hg[0], af = xg[1] + hg[1], ag = xg[2] + hg[2], ao = xg[3] + hg[3];
        V i = Sigma::f(ai + p_i * c_prev), f = Sigma::f(af + p_f * c_prev), g = Phi::f(ag);
        V c = f * c_prev + i * g;
        V o = Sigma::f(ao + p_o * c);
        V h = o * Phi::f(c);
        s[0] = h, s[1] = c;
        saved[0] = i, saved[1] = f, saved[2] = g, saved[3] = o;
    }

    template <int K, class V>
    static RNN_FN void backward(const V* d, const V* saved, const V* s_prev, const V* s, const V* p,
                                V* dxg, V*, V* ds_prev, V* dp) {
        V dh = d[0], dc = d[1];
        V i = saved[0], f = saved[1], g = saved[2], o = saved[3];
        V c_prev = s_prev[1], c = s[1];
        V p_i = p[0], p_f = p[1], p_o = p[2];
        V tau = Phi::f(c);
        V dao = dh * tau * Sigma::derivative(o);             // h = o * phi(c), o = sigma(ao + p_o * c)
        dc = dc + dh * o * Phi::derivative(tau) + dao * p_o;  // h = o * phi(c), o = sigma(ao + p_o * c)
        // c = f * c_prev + i * g, i = sigma(ai + p_i * c_prev)
        V dai = dc * g * Sigma::derivative(i);
        // c = f * c_prev + i * g, f = sigma(af + p_f * c_prev)
        V daf = dc * c_prev * Sigma::derivative(f);
        V dag = dc * i * Phi::derivative(g);                 // c = f * c_prev + i * g, g = phi(ag)
        V dc_prev = dc * f + dai * p_i + daf * p_f;     // c = f * c_prev + i * g, and the two peepholes
        dxg[0] = dai, dxg[1] = daf, dxg[2] = dag, dxg[3] = dao;
        ds_prev[0] = V{}, ds_prev[1] = dc_prev;
        dp[0] = dai * c_prev, dp[1] = daf * c_prev, dp[2] = dao * c;  // p_i * c_prev, p_f * c_prev, p_o * c
    }
};
