//! Vietnamese.

use super::{CodeWords, LinkWords, ResendWords, SignupWords, Words};

pub(super) const WORDS: Words = Words {
    link: LinkWords {
        title: "Xác minh địa chỉ email của bạn",
        about: "Trang này dành cho địa chỉ",
        text: "Nhấn nút để xác nhận địa chỉ này là của bạn. Nếu bạn không đăng ký, hãy đóng trang này.",
        button: "Xác minh địa chỉ email của tôi",
        expired: ("Liên kết này đã hết hạn", "Hãy yêu cầu một email xác minh mới và dùng liên kết trong đó."),
        used: ("Liên kết này đã được sử dụng", "Hãy yêu cầu một email xác minh mới và dùng liên kết trong đó."),
        address_changed: (
            "Liên kết này không còn hiệu lực",
            "Tài khoản của bạn hiện có địa chỉ email khác. Hãy dùng email mới nhất.",
        ),
        invalid: "Liên kết này không hợp lệ",
        end_missing: "Phần cuối bị thiếu, bắt đầu từ email_id=. Hãy sao chép toàn bộ liên kết trong email, đến chữ cái \
                      cuối cùng.",
        number_wrong: "Số sau email_id= bị thiếu hoặc không phải là số. Hãy sao chép lại liên kết, đúng như trong \
                       email.",
        letters_wrong: "32 chữ cái sau secret_code= bị thiếu hoặc bị thừa. Nếu email ngắt liên kết thành hai dòng, hãy \
                        đặt cả hai vào thanh địa chỉ, không có gì ở giữa.",
        malformed: "Một phần của liên kết xuất hiện hai lần hoặc có ký tự lạ. Hãy sao chép lại liên kết từ email.",
        unknown: "Liên kết đầy đủ, nhưng không email nào của chúng tôi có liên kết này: có thể một chữ cái đã bị thay \
                  đổi hoặc một email mới hơn đã thay thế nó. Hãy mở email mới nhất và sao chép liên kết trong đó.",
    },
    code: CodeWords {
        title: "Nhập mã trong email của bạn",
        text: "Email chúng tôi gửi cho bạn có một mã gồm sáu chữ số.",
        username: "Tên người dùng",
        label: "Mã",
        button: "Xác minh địa chỉ email của tôi",
        instead: "Nhập mã trong email để thay thế",
        not_six_digits: "Vui lòng nhập tên người dùng và sáu chữ số trong email.",
        wrong: "Tên người dùng hoặc mã không đúng. Vui lòng so sánh cả hai với email.",
        expired: "Mã này đã hết hạn. Hãy yêu cầu một email mới bên dưới.",
        used: "Mã này đã được sử dụng. Hãy yêu cầu một email mới bên dưới.",
        locked: "Quá nhiều mã sai đã được nhập nên mã này bị khóa. Hãy mở liên kết trong cùng email đó hoặc yêu cầu \
                 một email mới bên dưới.",
    },
    resend: ResendWords {
        title: "Gửi cho tôi một email mới",
        text: "Nhập địa chỉ mà bạn đã dùng để đăng ký.",
        label: "Địa chỉ email",
        button: "Gửi email mới",
        no_address: "Đây không phải là địa chỉ email hợp lệ.",
        done: (
            "Vui lòng kiểm tra hộp thư đến của bạn",
            "Nếu có tài khoản với địa chỉ này đang chờ xác minh, một email mới đang được gửi đi. Việc này có thể mất \
             một hoặc hai phút. Các email trước vẫn có hiệu lực cho đến khi hết hạn.",
        ),
    },
    signup: SignupWords {
        title: "Đăng ký",
        username_hint: "Từ 3 đến 100 chữ cái thường, chữ số hoặc dấu gạch dưới.",
        full_name: "Họ và tên",
        password: "Mật khẩu",
        password_hint: "Ít nhất {} ký tự.",
        button: "Đăng ký",
        username_taken: "Tên người dùng này đã có người dùng. Vui lòng chọn tên khác.",
        username_reserved: "Tên người dùng này thuộc về trang web. Vui lòng chọn tên khác.",
        full_name_wrong: "Vui lòng nhập tên của bạn với ít nhất ba chữ cái, không có chữ số và hầu hết các ký hiệu.",
        email_taken: "Đã có tài khoản với địa chỉ này.",
        email_wrong: "Đây không phải là địa chỉ email hợp lệ.",
        email_domain: "Địa chỉ của nhà cung cấp này không thể đăng ký ở đây. Vui lòng dùng địa chỉ khác.",
        email_no_mail: "Tên miền này không nhận email. Vui lòng kiểm tra lỗi gõ.",
        password_weak: "Mật khẩu này dễ đoán, đã bị lộ ở trang khác, hoặc chứa tên người dùng hay địa chỉ của bạn. \
                        Vui lòng chọn mật khẩu khác.",
        password_long: "Nhiều nhất 128 ký tự.",
        correct_below: "Vui lòng sửa những chỗ được đánh dấu bên dưới.",
        later: "Hiện chúng tôi chưa thể trả lời. Vui lòng thử lại sau ít phút; chỉ mật khẩu cần nhập lại.",
        not_understood: "Chúng tôi không đọc được biểu mẫu. Vui lòng điền lại.",
        from_elsewhere: "Biểu mẫu này được gửi từ một trang khác. Nếu đó là bạn, hãy nhập mật khẩu và gửi lại từ \
                         đây.",
        sent: (
            "Vui lòng kiểm tra hộp thư của bạn",
            "Hãy mở email và nhấn nút trong đó, hoặc nhập mã của email tại đây. Việc này có thể mất một hai phút.",
        ),
        sent_to: "Email xác minh được gửi đến",
        queued: "Email đang chờ được gửi.",
        delivered: "Máy chủ thư đã nhận email.",
        refused: "Máy chủ thư đã từ chối email. Địa chỉ có đúng không?",
        failed: "Không thể gửi email. Vui lòng yêu cầu email mới bên dưới.",
        no_mail: "Chưa có email?",
        no_mail_text: "Vui lòng xem cả thư mục thư rác. Các email trước vẫn dùng được cho đến khi hết hạn.",
    },
    verified: ("Địa chỉ email của bạn đã được xác minh", "Cảm ơn bạn. Bạn có thể đóng trang này."),
    later: (
        "Vui lòng thử lại sau",
        "Hiện chúng tôi chưa thể trả lời. Các liên kết và mã bạn đang có vẫn còn hiệu lực.",
    ),
};
