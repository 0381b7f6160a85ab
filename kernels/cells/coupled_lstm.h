// LSTM with coupled input and forget gates: the twin of ../../rnn_from_scratch/cells/coupled_lstm.py,
// where the equations are. The interface is told in simple_rnn.h.

template <class Phi, class Sigma>
struct CoupledLSTM {
    static constexpr int GATES = 3, STATES = 2, SAVED = 3, EXTRAS = 0, PHASES = 1;
    static constexpr bool SHARED = true;
    template <int K> static constexpr int FIRST = 0;
    template <int K> static constexpr int COUNT = 3;

    template <int K, class V>
    static RNN_FN void forward(const V* xg, const V* hg, const V* s_prev, V* saved, const V*, V* s) {
        V c_prev = s_prev[1];
        V ai = xg[0] + hg[0], ag = xg[1] + hg[1], ao = xg[2] + hg[2];
        V i = Sigma::f(ai), g = Phi::f(ag), o = Sigma::f(ao);
        V c = (1 - i) * c_prev + i * g;
        V h = o * Phi::f(c);
        s[0] = h, s[1] = c;
        saved[0] = i, saved[1] = g, saved[2] = o;
    }

    template <int K, class V>
    static RNN_FN void backward(const V* d, const V* saved, const V* s_prev, const V* s, const V*, V* dxg, V*,
                                V* ds_prev, V*) {
        V dh = d[0], dc = d[1];
        V i = saved[0], g = saved[1], o = saved[2];
        V c_prev = s_prev[1], c = s[1];
        V tau = Phi::f(c);
        V dao = dh * tau * Sigma::derivative(o);           // h = o * phi(c), o = sigma(ao)
        dc = dc + dh * o * Phi::derivative(tau);           // h = o * phi(c)
        V dai = dc * (g - c_prev) * Sigma::derivative(i);  // c = (1 - i) * c_prev + i * g, i = sigma(ai)
        V dag = dc * i * Phi::derivative(g);               // c = (1 - i) * c_prev + i * g, g = phi(ag)
        V dc_prev = dc * (1 - i);                          // c = (1 - i) * c_prev + i * g
        dxg[0] = dai, dxg[1] = dag, dxg[2] = dao;
        ds_prev[0] = V{}, ds_prev[1] = dc_prev;
    }
};
