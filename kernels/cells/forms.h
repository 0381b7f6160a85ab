// The one list of forms: what a cell's header here has, Phi standing for the activation and Sigma for the
// recurrent one. A row is FORM(stem of the header, type). The native library is compiled from it, one unit
// for each header; the type, with its activations in place, is the name by which a form is asked for:
// "LSTM<Tanh, Sigmoid>". The order means nothing.
FORM(simple_rnn, SimpleRNN<Phi>)
FORM(lstm, LSTM<Phi, Sigma>)
FORM(peephole_lstm, PeepholeLSTM<Phi, Sigma>)
FORM(gru, GRU<Phi, Sigma, true>)
FORM(gru, GRU<Phi, Sigma, false>)
FORM(coupled_lstm, CoupledLSTM<Phi, Sigma>)
